/** An engine of the node's own, through the deaths of everything that has a part in it. */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import Docker from 'dockerode'
import { testNode } from '../../../node/engine/engine.conformance.ts'
import { createDockerEngine, createManagedEngine } from '../../../node/engine/index.ts'
import { managedPaths } from '../../../node/engine/managed/paths.ts'
import { findProcesses } from '../../../node/engine/managed/processes.ts'
import { errorCode } from '../../../protocol/errors.ts'
import { silentLogger } from '../../../protocol/log/index.ts'
import { bridges, createFolders, createRig, type Rig } from './rig.ts'

const run = promisify(execFile)

describe('an engine of the node’s own', function () {
  this.timeout(120_000)
  let folders: { dataDir: string; runDir: string }
  let rig: Rig | undefined
  /** In a folder that all engines of the machine share. */
  const shimSockets: string[] = []
  const { signal } = new AbortController()
  const options = { signal }

  beforeEach(async () => {
    folders = await createFolders()
  })
  afterEach(async () => {
    rig ??= await createRig(folders)
    await rig.stop()
    await rig.managed.stop()
    rig = undefined
    expect(await leftovers()).to.deep.equal([])
  })

  /** A daemon in a process of its own, killed once its container runs. */
  async function killedDaemon(): Promise<{ id: string; pid: number }> {
    const program = join(import.meta.dirname, 'daemon.ts')
    const daemon = fork(program, [folders.dataDir, folders.runDir])
    const [message] = await once(daemon, 'message')
    const { id } = message as { id: string }
    const exited = once(daemon, 'exit')
    daemon.kill('SIGKILL')
    await exited
    const paths = managedPaths(folders.dataDir, folders.runDir)
    const task = join(paths.containerdState, 'io.containerd.runtime.v2.task', 'moby', id)
    const address = await readFile(join(task, 'address'), 'utf8')
    shimSockets.push(address.replace('unix://', ''))
    await access(shimSockets.at(-1) ?? '')
    const docker = new Docker({ socketPath: paths.socket })
    return { id, pid: (await docker.getContainer(id).inspect()).State.Pid }
  }

  async function programs(): Promise<Record<'dockerd' | 'containerd' | 'shims', number[]>> {
    const paths = managedPaths(folders.dataDir, folders.runDir)
    const found = await Promise.all([
      findProcesses('dockerd', paths.daemonConfig),
      findProcesses('containerd', paths.containerdConfig),
      findProcesses('containerd-shim-runc-v2', paths.containerdSocket),
    ])
    const [dockerd = [], containerd = [], shims = []] = found.map((list) =>
      list.map(({ pid }) => pid),
    )
    return { dockerd, containerd, shims }
  }

  async function leftovers(): Promise<readonly string[]> {
    const paths = managedPaths(folders.dataDir, folders.runDir)
    const mountinfo = await readFile('/proc/self/mountinfo', 'utf8')
    const hierarchies = await readdir('/sys/fs/cgroup')
    const places = [
      folders.dataDir,
      folders.runDir,
      ...shimSockets,
      ...['', ...hierarchies].map((name) => join('/sys/fs/cgroup', name, paths.cgroup)),
    ]
    const there = await Promise.all(
      places.map((it) =>
        access(it).then(
          () => [it],
          () => [],
        ),
      ),
    )
    return [
      ...there.flat(),
      ...mountinfo.split('\n').filter((line) => line.includes(folders.dataDir)),
      ...mountinfo.split('\n').filter((line) => line.includes(folders.runDir)),
      ...Object.values(await programs())
        .flat()
        .map((pid) => `process ${pid}`),
      ...bridges(),
    ]
  }

  it('comes by at our loopback when it is asked, and so pulls', async () => {
    rig = await createRig(folders)
    const init = { socketPath: rig.managed.socketPath, node: testNode, managed: false }
    const engine = createDockerEngine(init, { logger: silentLogger, isolation: rig.firewall })
    expect(await engine.imageTransfer(options)).to.equal('pull')
    await engine.close()
  })

  it('outlives the daemon’s kill -9 with its container, and is adopted', async () => {
    const { id, pid } = await killedDaemon()
    const before = await programs()
    rig = await createRig(folders)
    expect(rig.adopted).to.equal(true)
    expect(await programs()).to.deep.equal(before)
    const [container, ...others] = await rig.engine.list(options)
    expect(container).to.include({ id, state: 'running' })
    expect(others).to.deep.equal([])
    expect(await isRunning(pid)).to.equal(true)
  })

  it('comes back when dockerd dies, its container untouched', async () => {
    const { id, pid } = await killedDaemon()
    const [dockerd = 0] = (await programs()).dockerd
    process.kill(dockerd, 'SIGKILL')
    rig = await createRig(folders)
    expect(rig.adopted).to.equal(false)
    const [container] = await rig.engine.list(options)
    expect(container).to.include({ id, state: 'running' })
    await seesExit(rig, id, pid)
    expect(await rig.engine.restart(id, options)).to.include({ id, state: 'running' })
  })

  it('comes back when containerd dies, its container untouched', async () => {
    const { id, pid } = await killedDaemon()
    const [containerd = 0] = (await programs()).containerd
    process.kill(containerd, 'SIGKILL')
    rig = await createRig(folders)
    const [container] = await rig.engine.list(options)
    expect(container).to.include({ id, state: 'running' })
    await seesExit(rig, id, pid)
    await rig.engine.remove(id, { graceMs: 0, signal })
    expect(await rig.engine.list(options)).to.deep.equal([])
  })

  it('begins clean when its memory half was lost, as after a reboot', async () => {
    const { pid } = await killedDaemon()
    const { dockerd, containerd, shims } = await programs()
    for (const it of [...dockerd, ...containerd, ...shims]) process.kill(it, 'SIGKILL')
    await run('umount', ['--lazy', join(folders.dataDir, 'docker', 'containers')])
    rig = await createRig(folders)
    expect(rig.adopted).to.equal(false)
    expect(await rig.engine.list(options)).to.deep.equal([])
    expect(await rig.engine.images(options)).to.deep.equal([])
    expect(await isRunning(pid)).to.equal(false)
  })

  it('joins starts that are asked for at once', async () => {
    rig = await createRig(folders)
    await rig.managed.stop()
    const both = await Promise.all([rig.managed.ensure(options), rig.managed.ensure(options)])
    expect(both).to.deep.equal([{ adopted: false }, { adopted: false }])
    expect((await programs()).dockerd).to.have.length(1)
    expect(await rig.managed.ensure(options)).to.deep.equal({ adopted: true })
    expect(await rig.managed.nofileMax()).to.be.greaterThan(1_000)
  })

  it('says why it does not start, and leaves nothing', async () => {
    const init = { ...folders, searchPath: '/usr/bin:/bin', startTimeoutMs: 3_000 }
    const engine = createManagedEngine(init, { logger: silentLogger })
    const failure: unknown = await engine.ensure(options).catch((error: unknown) => error)
    await engine.stop()
    expect(errorCode(failure)).to.equal('ENGINE_START_FAILED')
    expect(String(failure)).to.contain('dockerd')
  })
})

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) [ZX] /.test(stat)
}

/** A new engine must hear of an old container's end, or nobody would restart it. */
async function seesExit(rig: Rig, id: string, pid: number): Promise<void> {
  const exit = rig.engine.waitExit(id, { signal: AbortSignal.timeout(10_000) })
  process.kill(pid, 'SIGKILL')
  expect(await exit).to.deep.equal({ exitCode: 137 })
}
