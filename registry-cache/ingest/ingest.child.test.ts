/** Ingest in a process of its own: killed in the middle of a pull, and weighed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { cutFor } from '../../protocol/bundle/index.ts'
import type { ChildLine } from './ingest.child.ts'
import { type MadeUpRegistry, startMadeUpRegistry } from './made-up-registry.fixture.ts'

const childFile = fileURLToPath(new URL('ingest.child.ts', import.meta.url))
/** What may lie in sockets on both sides and in undici when the reader dies. */
const socketSlackBytes = 2 << 20

describe('ingest, in a process of its own', function () {
  this.timeout(120_000)
  let root: string
  let registry: MadeUpRegistry
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'potluck-ingest-'))
  })
  afterEach(async () => {
    await registry.close()
    await rm(root, { recursive: true })
  })

  /** Runs the child to its end, or kills it once `killAt` bytes are held. Its last line. */
  async function runChild(killAt = Number.POSITIVE_INFINITY): Promise<ChildLine | undefined> {
    const argument = JSON.stringify({ root, ...registry.order })
    const child = spawn(process.execPath, [childFile, argument], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    let last: ChildLine | undefined
    for await (const line of createInterface({ input: child.stdout })) {
      last = JSON.parse(line) as ChildLine
      if ('bytesDone' in last && last.bytesDone >= killAt) child.kill('SIGKILL')
    }
    await exited
    return last
  }

  it('goes on where it was killed, blob by blob, and reads almost nothing twice', async () => {
    const sizeBytes = 6 << 20
    registry = await startMadeUpRegistry([sizeBytes, sizeBytes])
    registry.setPaceMs(4)
    await runChild(3 << 20)
    await runChild(7 << 20)
    registry.setPaceMs(0)
    const last = await runChild()
    expect(last).to.have.property('bundle')
    const { chunkSizeBytes } = cutFor(sizeBytes)
    for (const { digest } of registry.order.blobs.slice(1)) {
      const reads = registry.served.filter((read) => read.digest === digest)
      expect(reads).to.have.length(3)
      for (const { fromByte } of reads.slice(1)) expect(fromByte).to.be.above(0)
      const total = reads.reduce((sum, { bytes }) => sum + bytes, 0)
      expect(total - sizeBytes).to.be.at.most(2 * (chunkSizeBytes + socketSlackBytes))
    }
  })

  it('takes little memory, however large the image', async function () {
    const sizeBytes = Number(process.env.POTLUCK_TEST_LAYER_BYTES ?? 128 << 20)
    this.timeout(60_000 + sizeBytes / 2_000)
    registry = await startMadeUpRegistry([sizeBytes, sizeBytes, sizeBytes])
    const last = await runChild()
    if (!last || !('maxRssBytes' in last)) throw new Error('the child did not finish')
    if (process.env.POTLUCK_TEST_LAYER_BYTES) {
      process.stdout.write(`\n3 × ${sizeBytes} B: ${Math.round(last.maxRssBytes / 1e6)} MB RSS\n`)
    }
    expect(last.registryBytes).to.be.at.least(3 * sizeBytes)
    expect(last.maxRssBytes).to.be.below(300e6)
    expect(registry.served).to.have.length(3)
  })
})
