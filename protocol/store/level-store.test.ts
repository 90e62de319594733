/** The store on disk: the common suite, and what only a disk can do wrong. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Level } from 'level'
import type { ByteDatabase } from './byte-store.ts'
import type { ByteOperation } from './group-commit.ts'
import { createLevelStore, type Store } from './index.ts'
import { collect, failure, storeConformance } from './store.conformance.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'potluck-store-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

storeConformance('level', () => createLevelStore({ path: folder }))

describe('protocol/store: level', () => {
  it('finds its records again, and makes missing folders', async () => {
    const path = join(folder, 'a', 'b')
    const first = await createLevelStore({ path })
    await first.put('k', 1)
    await first.close()
    const second = await createLevelStore({ path })
    expect(await second.get('k')).to.equal(1)
    await second.close()
  })

  it('says so when another has it open', async () => {
    const store = await createLevelStore({ path: folder })
    const error = await failure(createLevelStore({ path: folder }))
    expect(error).to.include({ code: 'STORE_LOCKED' })
    expect(error.message).to.contain(folder).and.contain('another process')
    await store.close()
  })

  it('says so when the path is a file', async () => {
    const path = join(folder, 'file')
    await writeFile(path, '')
    const error = await failure(createLevelStore({ path }))
    expect(error).to.include({ code: 'STORE_OPEN_FAILED' })
    expect(error.message).to.contain(path)
  })

  it('asks LevelDB to sync every write', async () => {
    // kill -9 leaves the page cache alone, so no crash test of a process can see this missing.
    const prototype = Level.prototype as unknown as Record<
      '_batch',
      (...args: unknown[]) => unknown
    >
    const original = prototype._batch
    const options: unknown[] = []
    prototype._batch = function (this: unknown, ...args) {
      options.push(args[1])
      return original.apply(this, args)
    }
    try {
      const store = await createLevelStore({ path: folder })
      await store.put('a', 1)
      await store.delete('a')
      await store.close()
    } finally {
      prototype._batch = original
    }
    expect(options).to.have.length(2)
    for (const item of options) expect(item).to.include({ sync: true })
  })

  it('loses no acknowledged write to kill -9, and tears no batch', async function () {
    this.timeout(60_000)
    let next = 0
    const acknowledged = new Set<number>()
    for (let round = 0; round < 20; round++) {
      const { numbers, last } = await writeUntilKilled(folder, next, 40 + ((round * 97) % 400))
      for (const number of numbers) acknowledged.add(number)
      const store = await createLevelStore({ path: folder })
      const kept = new Set<number>()
      for await (const [, value] of store.entries({ prefix: 'n/' })) {
        kept.add((value as { number: number }).number)
      }
      const twins = (await collect(store.entries({ prefix: 'twin/' }))).map(([, value]) => value)
      await store.close()
      expect([...acknowledged].filter((number) => !kept.has(number))).to.deep.equal([])
      expect(twins).to.deep.equal([...kept])
      next = last + 1000
    }
    expect(acknowledged.size).to.be.greaterThan(20 * 40)
  })
})

/** Runs a writer, kills it after `count` acknowledgements; the complete lines that it wrote. */
async function writeUntilKilled(path: string, first: number, count: number) {
  const script = new URL('./kill.fixture.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, path, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (text.split('\n').length > count) child.kill('SIGKILL')
  })
  await once(child, 'close')
  const numbers = text.split('\n').slice(0, -1).map(Number)
  expect(child.signalCode, 'the writer must be killed, not fail').to.equal('SIGKILL')
  return { numbers, last: Math.max(...numbers) }
}

describe('protocol/store: a disk that lies and fails', () => {
  /** Keeps writes in a cache that a power cut empties; only a synced write reaches `disk`. */
  function shim() {
    const disk = new Map<string, Uint8Array>()
    const log: (readonly ByteOperation[])[] = []
    let failing = false
    const database: ByteDatabase = {
      get: async (key) => disk.get(Buffer.from(key).toString()),
      async write(operations) {
        await new Promise((resolve) => setImmediate(resolve))
        if (failing) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
        log.push(operations)
        for (const { key, value } of operations) {
          if (value) disk.set(Buffer.from(key).toString(), value)
        }
      },
      async *entries() {},
      close: async () => {},
    }
    const open = (init = {}): Promise<Store> =>
      createLevelStore({ path: folder, ...init }, { open: async () => database })
    return {
      ...{ disk, log, open },
      fail: () => {
        failing = true
      },
    }
  }

  it('acknowledges nothing before the disk has it', async () => {
    const { disk, open } = shim()
    const store = await open()
    const writes = Array.from({ length: 50 }, (_, n) =>
      store.put(`k${n}`, n).then(() => expect(disk.has(`k${n}`)).to.equal(true)),
    )
    expect(disk.size).to.equal(0)
    await Promise.all(writes)
  })

  it('carries all that queued while a write was under way in the next one, in order', async () => {
    const { log, open } = shim()
    const store = await open()
    const first = Promise.all([store.put('a', 1), store.put('b', 1)])
    await Promise.resolve()
    await Promise.resolve()
    const later = Array.from({ length: 1000 }, (_, n) => store.put(`k${n}`, n))
    await Promise.all([first, ...later])
    expect(log.length).to.be.within(1, 3)
    const keys = log.flat().map(({ key }) => Buffer.from(key).toString())
    expect(keys).to.deep.equal(['a', 'b', ...Array.from({ length: 1000 }, (_, n) => `k${n}`)])
  })

  it('takes no write after one that failed, also when the disk would work again', async () => {
    const { disk, open, fail } = shim()
    const store = await open()
    await store.put('before', 1)
    fail()
    const [one, two] = await Promise.all([failure(store.put('a', 1)), failure(store.put('b', 1))])
    expect(one).to.include({ code: 'STORE_FAILED' })
    expect(two).to.include({ code: 'STORE_FAILED' })
    expect(await failure(store.put('c', 1))).to.include({ code: 'STORE_FAILED' })
    expect([...disk.keys()]).to.deep.equal(['before'])
    expect(await store.get('before')).to.equal(1)
    await store.close()
  })

  it('refuses writes past its queue bound, keeps those it took, and recovers', async () => {
    const { disk, open } = shim()
    const store = await open({ queuedBytesMax: 2000 })
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, n) => store.put(`k${n}`, 'x'.repeat(50))),
    )
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused.length).to.be.within(50, 99)
    expect(new Set(refused.map(({ reason }) => reason.code))).to.deep.equal(new Set(['STORE_BUSY']))
    expect(disk.size).to.equal(100 - refused.length)
    await store.put('later', 'x'.repeat(5000))
    expect(disk.has('later')).to.equal(true)
  })

  it('names the key of a record whose bytes were damaged', async () => {
    const { disk, open } = shim()
    const store = await open()
    await store.put('slot/1', { epoch: 1 })
    disk.set('slot/1', Uint8Array.of(0xff, 0x00))
    const error = await failure(store.get('slot/1'))
    expect(error).to.include({ code: 'STORE_RECORD_CORRUPT' })
    expect(error.message).to.contain('"slot/1"')
  })
})
