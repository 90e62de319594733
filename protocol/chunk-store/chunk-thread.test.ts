import { hash, randomBytes } from 'node:crypto'
import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type ChunkThread, createChunkThread } from './chunk-thread.ts'
import { createInlineTurns, type InlineTurns } from './inline-turns.ts'

const folded = Buffer.alloc(20, 'fold')
const never: InlineTurns = { mayDo: () => false, did: () => undefined }
const always: InlineTurns = { mayDo: () => true, did: () => undefined }

for (const [where, makeTurns] of [
  ['beside the main thread', () => never],
  ['inline', () => always],
  ['as it comes', createInlineTurns],
] as const) {
  describe(`the thread of a chunk store, ${where}`, () => {
    let folder: string
    let file: FileHandle
    let thread: ChunkThread
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'potluck-thread-'))
      file = await open(join(folder, 'chunks'), 'w+')
      thread = createChunkThread({ turns: makeTurns() })
    })
    afterEach(async () => {
      await thread.close()
      await file.close()
      await rm(folder, { recursive: true })
    })
    const nameOf = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer')
    const put = (bytes: Uint8Array, position: number, name?: Uint8Array): Promise<boolean> =>
      thread.write({ fd: file.fd, position, bytes, name })

    it('writes what is as named, beside chunks that are not', async () => {
      const chunks = Array.from({ length: 40 }, () => randomBytes(30_000))
      const written = await Promise.all(
        chunks.map((bytes, at) => put(bytes, at * 30_000, nameOf(at % 8 === 3 ? folded : bytes))),
      )
      expect(written).to.deep.equal(chunks.map((_, at) => at % 8 !== 3))
      const { bytes, good } = await thread.read({
        fd: file.fd,
        position: 0,
        lengths: chunks.map(({ length }) => length),
        names: Buffer.concat(chunks.map(nameOf)),
      })
      expect(good).to.deep.equal(written)
      const right = chunks.map((chunk, at) => (written[at] ? chunk : Buffer.alloc(chunk.length)))
      expect(Buffer.concat(right).equals(bytes)).to.equal(true)
    })

    it('copies what it is given at once', async () => {
      const bytes = randomBytes(1000)
      const name = nameOf(bytes)
      const written = put(bytes, 0, name)
      bytes.fill(0)
      expect(await written).to.equal(true)
    })

    it('takes chunks that are longer than a batch', async () => {
      const big = randomBytes(1_100_000)
      const written = await Promise.all([
        put(folded, 0),
        put(big, 100, nameOf(big)),
        put(folded, 50),
      ])
      expect(written).to.deep.equal([true, true, true])
      const names = nameOf(big)
      const { bytes, good } = await thread.read({
        fd: file.fd,
        position: 100,
        lengths: [big.length],
        names,
      })
      expect(good).to.deep.equal([true])
      expect(big.equals(bytes)).to.equal(true)
    })

    it('tells which chunks a short file does not have', async () => {
      await put(folded, 0)
      const read = await thread.read({
        fd: file.fd,
        position: 0,
        lengths: [folded.length, 10],
        names: Buffer.concat([nameOf(folded), nameOf(randomBytes(10))]),
      })
      expect(read.good).to.deep.equal([true, false])
    })

    it('sets the bits of chunks that it wrote, and of no others', async () => {
      const bits = await open(join(folder, 'held'), 'w+')
      const write = (number: number, bytes: Buffer, name: Buffer) =>
        thread.write({
          fd: file.fd,
          position: number * 20,
          bytes,
          name,
          bit: { fd: bits.fd, number },
        })
      const wrong = nameOf(randomBytes(10))
      const written = [0, 9, 3, 4, 23].map((at) =>
        write(at, folded, at === 4 ? wrong : nameOf(folded)),
      )
      expect(await Promise.all(written)).to.deep.equal([true, true, true, false, true])
      await thread.unset({ fd: bits.fd, number: 9 }, 3)
      expect((await readFile(join(folder, 'held'))).toString('hex')).to.equal('900001')
      await bits.close()
    })

    it('sets no bit of a chunk that the disk refused', async () => {
      const bits = await open(join(folder, 'held'), 'w+')
      const chunks = await open(join(folder, 'chunks'), 'r')
      const bit = { fd: bits.fd, number: 0 }
      const put = { position: 0, bytes: folded, name: undefined, bit }
      await thread.write({ ...put, fd: chunks.fd }).catch(() => undefined)
      expect((await readFile(join(folder, 'held'))).length).to.equal(0)
      await Promise.all([bits.close(), chunks.close()])
    })

    it('passes on what the disk says, and works on', async () => {
      const read = await open(join(folder, 'chunks'), 'r')
      const refused = thread.write({ fd: read.fd, position: 0, bytes: folded, name: undefined })
      const code = await refused.catch((error: NodeJS.ErrnoException) => error.code)
      expect(code).to.equal('EBADF')
      await read.close()
      expect(await put(folded, 0)).to.equal(true)
    })

    it('starts anew after its end', async () => {
      await put(folded, 0)
      await thread.close()
      await thread.close()
      expect(await put(folded, 0)).to.equal(true)
    })
  })
}
