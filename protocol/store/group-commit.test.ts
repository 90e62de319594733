import { expect } from 'chai'
import { createGroupCommit } from './group-commit.ts'
import { failure } from './store.conformance.ts'

const put = (key: string, sizeBytes = 1) => [
  { key: Buffer.from(key), value: new Uint8Array(sizeBytes) },
]

/** Writes that end when told to. */
function manual(writeBytesMax?: number) {
  const writes: { keys: string[]; succeed: () => void; fail: (error: Error) => void }[] = []
  const commits = createGroupCommit({
    ...(writeBytesMax === undefined ? {} : { writeBytesMax }),
    write(operations) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const keys = operations.map(({ key }) => Buffer.from(key).toString())
      writes.push({ keys, succeed: resolve, fail: reject })
      return promise
    },
  })
  return { commits, writes }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('protocol/store: group commit', () => {
  it('has one write under way, and the next carries all that queued meanwhile', async () => {
    const { commits, writes } = manual()
    const first = commits.commit(put('a'))
    await turn()
    const rest = ['b', 'c', 'd'].map((key) => commits.commit(put(key)))
    await turn()
    expect(writes.map(({ keys }) => keys)).to.deep.equal([['a']])
    writes[0]?.succeed()
    await first
    await turn()
    expect(writes.map(({ keys }) => keys)).to.deep.equal([['a'], ['b', 'c', 'd']])
    writes[1]?.succeed()
    await Promise.all(rest)
  })

  it('cuts a queue into writes of bounded size, never through a batch', async () => {
    const { commits, writes } = manual(1000)
    const all = ['a', 'b', 'c', 'd'].map((key) => commits.commit(put(key, 400)))
    const large = commits.commit(put('large', 5000))
    for (let at = 0; at < 5; at++) {
      await turn()
      writes[at]?.succeed()
    }
    await Promise.all([...all, large])
    expect(writes.map(({ keys }) => keys)).to.deep.equal([['a'], ['b'], ['c'], ['d'], ['large']])
  })

  it('fails what waits behind a failed write without trying the disk again', async () => {
    const { commits, writes } = manual(1)
    const waiting = ['a', 'b', 'c'].map((key) => failure(commits.commit(put(key))))
    await turn()
    writes[0]?.fail(new Error('EIO'))
    for (const error of await Promise.all(waiting))
      expect(error).to.include({ code: 'STORE_FAILED' })
    expect(writes).to.have.length(1)
  })

  it('closes only when what it took is written, and takes no more', async () => {
    const { commits, writes } = manual()
    let closed = false
    const written = commits.commit(put('a'))
    const closing = commits.close().then(() => {
      closed = true
    })
    await turn()
    expect(closed).to.equal(false)
    expect(await failure(commits.commit(put('b')))).to.include({ code: 'STORE_CLOSED' })
    writes[0]?.succeed()
    await Promise.all([written, closing])
  })
})
