/**
 * A Docker engine of its own for one home: dockerd and containerd in the home's network namespace,
 * all of their state under one folder. A shared engine would fake the swarm: layers that one home
 * pulled would be there for the next.
 */
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unmountUnder } from '../../protocol/mounts/index.ts'
import { type Child, pattern, type Wait } from './child.ts'
import { cgroupsOf, processesOf } from './leftovers.ts'
import type { Namespace } from './namespaces.ts'
import type { Processes } from './processes.ts'
import type { RunFolder } from './run-folder.ts'

export interface Engine {
  /** Path of its API's unix socket. */
  readonly socket: string
  readonly folder: string
  readonly dockerd: Child
  readonly containerd: Child
  /** Stops containers and both daemons, and removes mounts, cgroups and files. Twice is harmless. */
  stop(): Promise<void>
}

export async function startEngine(
  { namespace, label }: { readonly namespace: Namespace; readonly label: string },
  { processes, run, wait }: { processes: Processes; run: RunFolder; wait?: Wait },
): Promise<Engine> {
  const folder = join(run.path, `engine-${label}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const socket = join(folder, 'docker.sock')
  // A cgroup of the engine's own, named after the run, so that all its containers can be found.
  const own: RunFolder = { name: `${run.name}-${label}`, path: folder }
  const started: Child[] = []
  const stop = async (): Promise<void> => {
    for (const child of started.toReversed()) await child.stop({ graceMs: 20_000 })
    await cleanUp(own)
  }
  try {
    const containerd = await startContainerd(folder, label, namespace, processes, started, wait)
    const dockerd = processes.start({
      name: `dockerd-${label}`,
      namespace: namespace.path,
      deathSignal: 'TERM', // it stops its containers then
      command: [
        'dockerd',
        ...['--host', `unix://${socket}`],
        ...['--containerd', join(folder, 'containerd.sock')],
        ...['--data-root', join(folder, 'data')],
        ...['--exec-root', join(folder, 'exec')],
        ...['--pidfile', join(folder, 'dockerd.pid')],
        ...['--cgroup-parent', `/${own.name}`],
        ...['--shutdown-timeout', '3'],
      ],
      env: { DOCKER_TMPDIR: join(folder, 'tmp') },
    })
    started.push(dockerd)
    await dockerd.waitFor(pattern(/API listen on /), wait)
    return { socket, folder, dockerd, containerd, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startContainerd(
  folder: string,
  label: string,
  namespace: Namespace,
  processes: Processes,
  started: Child[],
  wait?: Wait,
): Promise<Child> {
  const config = join(folder, 'containerd.toml')
  await writeFile(
    config,
    `version = 2
root = ${JSON.stringify(join(folder, 'containerd'))}
state = ${JSON.stringify(join(folder, 'containerd-state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = ${JSON.stringify(join(folder, 'containerd.sock'))}
`,
  )
  const child = processes.start({
    name: `containerd-${label}`,
    namespace: namespace.path,
    deathSignal: 'TERM',
    command: ['containerd', '--config', config],
  })
  started.push(child)
  await child.waitFor(pattern(/containerd successfully booted/), wait)
  return child
}

/** After a clean stop nothing but files is left; after kill -9 shims, containers and mounts are. */
async function cleanUp(own: RunFolder): Promise<void> {
  // Killed ones end a moment later, and a shim may have been starting another: until none is left.
  await until(async () => {
    const left = await processesOf(own)
    for (const { pid } of left) killIfAlive(pid)
    return left.length === 0
  })
  for (const cgroup of await cgroupsOf(own)) await removeCgroup(cgroup)
  await unmountUnder(own.path)
  await rm(own.path, { recursive: true, force: true, maxRetries: 5 })
}

async function removeCgroup(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await removeCgroup(join(path, entry.name))
  }
  const pids = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')
  for (const pid of pids.split('\n').filter(Boolean)) killIfAlive(Number(pid))
  await until(() =>
    rmdir(path).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code !== 'EBUSY',
    ),
  )
}

/** Asks again every 20 ms, for 5 s: the kernel gives no event for what is asked here. */
async function until(done: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 250; attempt++) {
    if (await done()) return
    await sleep(20)
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended meanwhile
  }
}
