import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { expect } from 'chai'
import { jsonLine, pattern } from '../../scripts/street/child.ts'
import { countLeftovers, findLeftovers } from '../../scripts/street/leftovers.ts'
import { createProcesses, type Processes } from '../../scripts/street/processes.ts'
import { createRunFolder, type RunFolder } from '../../scripts/street/run-folder.ts'

const node = (code: string): string[] => [process.execPath, '-e', code]

describe('children of a run', () => {
  let run: RunFolder
  let processes: Processes

  beforeEach(async () => {
    run = await createRunFolder()
    processes = createProcesses({ run })
  })
  afterEach(async () => {
    await processes.stopAll({ graceMs: 1_000 })
    await rm(run.path, { recursive: true, force: true })
  })

  it('waits for a line by event, past and to come', async () => {
    const child = processes.start({
      name: 'a',
      command: node(`
        console.error('warming up')
        setTimeout(() => console.log('{"ready":true}'), 100)
        setTimeout(() => {}, 1e6)`),
    })
    expect(await child.waitFor(jsonLine)).to.deep.equal({ ready: true })
    expect((await child.waitFor(pattern(/^warming (\w+)$/)))[1]).to.equal('up')
    expect(processes.running()).to.have.length(1)
    expect(await child.stop()).to.deep.equal({ code: null, signal: 'SIGTERM' })
    expect(processes.running()).to.deep.equal([])
  })

  it('says what a child that died had said', async () => {
    const child = processes.start({
      name: 'b',
      command: node('console.error("no port"); process.exit(3)'),
    })
    const error = await child.waitFor(jsonLine).then(
      () => expect.fail('it never was ready'),
      (reason) => reason,
    )
    expect(error).to.have.property('code', 'NOT_READY')
    expect(error.message).to.match(/^b: ended with 3 .*no port/s)
  })

  it('gives up at the deadline, and at once when aborted', async () => {
    const child = processes.start({ name: 'c', command: node('setTimeout(() => {}, 1e6)') })
    const gaveUp = await child.waitFor(jsonLine, { deadlineMs: 50 }).catch((reason) => reason)
    expect(gaveUp.message).to.contain('no such line in 50 ms')
    const controller = new AbortController()
    const waiting = child.waitFor(jsonLine, { signal: controller.signal }).catch((reason) => reason)
    controller.abort(new Error('enough'))
    expect((await waiting).message).to.equal('enough')
  })

  it('kills what does not listen to SIGTERM', async () => {
    const child = processes.start({
      name: 'd',
      command: node(
        'process.on("SIGTERM", () => {}); console.log("{}"); setTimeout(() => {}, 1e6)',
      ),
    })
    await child.waitFor(jsonLine)
    expect((await child.stop({ graceMs: 100 })).signal).to.equal('SIGKILL')
  })

  it('reports a command that does not exist', async () => {
    const child = processes.start({ name: 'e', command: ['/nowhere/such-a-thing'] })
    expect((await child.exited).code).to.not.equal(0)
  })

  it('counts a grandchild that outlived its parent as left over', async () => {
    const child = processes.start({
      name: 'f',
      command: node(`
        const { spawn } = require('child_process')
        const { pid } = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
        console.log(JSON.stringify({ pid }))
        setTimeout(() => {}, 1e6)`),
    })
    const { pid } = await child.waitFor(jsonLine)
    await child.stop()
    const left = await findLeftovers({ run })
    expect(left.processes.map((process) => process.pid)).to.deep.equal([pid])
    process.kill(Number(pid), 'SIGKILL')
    expect(countLeftovers(left)).to.equal(2) // and the log file
  })

  it('removes the folder of a run that was killed', async () => {
    const command = [
      ...[process.execPath, '--input-type=module', '-e'],
      `import { createRunFolder } from '${new URL('../../scripts/street/run-folder.ts', import.meta.url)}'
      console.log(JSON.stringify(await createRunFolder({ parent: '${run.path}' })))
      setTimeout(() => {}, 1e6)`,
    ]
    const child = processes.start({ name: 'i', command })
    const { path } = await child.waitFor(jsonLine)
    await createRunFolder({ parent: run.path })
    expect(existsSync(String(path))).to.equal(true)
    child.kill('SIGKILL')
    await child.exited
    await createRunFolder({ parent: run.path })
    expect(existsSync(String(path))).to.equal(false)
  })

  it('takes its children along when it is killed itself', async () => {
    const parent = processes.start({
      name: 'g',
      command: [
        process.execPath,
        '--input-type=module',
        '-e',
        `import { createProcesses } from '${new URL('../../scripts/street/processes.ts', import.meta.url)}'
        const run = { name: '${run.name}', path: '${run.path}' }
        const child = createProcesses({ run }).start({ name: 'h', command: ['sleep', '600'] })
        console.log(JSON.stringify({ pid: child.pid }))`,
      ],
    })
    const { pid } = await parent.waitFor(jsonLine)
    parent.kill('SIGKILL')
    await parent.exited
    const left = await findLeftovers({ run })
    expect(left.processes.filter((process) => process.pid === pid)).to.deep.equal([])
  })
})
