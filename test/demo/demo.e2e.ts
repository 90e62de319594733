/**
 * The main job, judged by the demo's own figures: one process that does it all on real parts, as
 * `npm run demo -- --json` does.
 */
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { type Figures, missingOf } from '../../scripts/demo/index.ts'
import { createProcesses, createRunFolder, type RunFolder } from '../../scripts/street/index.ts'
import { thisMachine } from '../../scripts/street/machine.ts'

const demo = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))
const missing = missingOf(thisMachine(process.env))
const suite = missing === undefined ? describe : describe.skip

suite(`the demo${missing === undefined ? '' : ` (skipped: it needs ${missing})`}`, function () {
  // Two minutes on two quiet cores; the first run of a clone makes a Debian.
  this.timeout(900_000)
  let run: RunFolder
  let lines: readonly string[]
  let code: number | null

  before(async () => {
    run = await createRunFolder()
    const child = createProcesses({ run }).start({
      name: 'demo',
      command: [process.execPath, demo, '--json'],
      deathSignal: 'TERM',
    })
    code = (await child.exited).code
    lines = child.lines().map(({ text }) => text)
  })
  after(async () => await rm(run.path, { recursive: true, force: true }))

  const story = (): string => `\n${lines.join('\n')}`
  const figures = (): Figures => JSON.parse(lines.at(-1) ?? '') as Figures

  it('ends with success and its figures as the last line', () => {
    expect(code, story()).to.equal(0)
    expect(figures()).to.have.all.keys([
      ...['imageBytes', 'registryBytes', 'maxReadsPerBlob', 'nodes', 'replicas', 'toRunningS'],
      ...['replacedInS', 'epochBefore', 'epochAfter', 'peerBytes', 'leftovers'],
    ])
  })

  it('reads a real image once', () => {
    const { imageBytes, registryBytes, maxReadsPerBlob } = figures()
    expect(imageBytes).to.be.at.least(100_000_000)
    expect(Number(registryBytes) / Number(imageBytes)).to.be.within(1, 1.01)
    expect(maxReadsPerBlob).to.equal(1)
  })

  it('hands it from node to node', () => {
    const { nodes, replicas, peerBytes } = figures()
    expect({ nodes, replicas }).to.deep.equal({ nodes: 4, replicas: 3 })
    expect(peerBytes).to.be.greaterThan(0)
  })

  it('replaces a lost node under a higher epoch', () => {
    const { epochBefore, epochAfter, replacedInS } = figures()
    expect(epochAfter).to.be.greaterThan(Number(epochBefore))
    expect(replacedInS).to.be.greaterThan(0)
  })

  it('leaves nothing', () => {
    expect(figures().leftovers, story()).to.equal(0)
  })
})
