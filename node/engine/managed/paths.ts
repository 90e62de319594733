/**
 * Where an engine of the node's own keeps what. The rule behind the lay-out: dockerd and containerd
 * write a container's Env in plain text to four places, and all of them lie under `runDir`, which
 * is one tmpfs; only image layers, volumes and writable layers lie on the disk. The programs' logs are
 * on the tmpfs too: dockerd names the digest of each image that it pulls.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { isAbsolute, join } from 'node:path'

export type ManagedPaths = Readonly<{
  /** On the disk: Docker's data-root. */
  dataRoot: string
  /** The tmpfs that holds everything below. */
  runDir: string
  socket: string
  pidFile: string
  daemonConfig: string
  execRoot: string
  containerdConfig: string
  containerdSocket: string
  containerdRoot: string
  containerdState: string
  /** Folder on the tmpfs → folder of the data-root that it is bound over. */
  bound: readonly (readonly [from: string, to: string])[]
  log: string
  containerdLog: string
  cgroup: string
}>

/** A socket's path must fit into 108 bytes, and containerd appends `.ttrpc`. */
const socketPathMax = 90

/** `nodeRunDir` is the daemon's, with files of others; the engine mounts over a folder in it. */
export function managedPaths(dataDir: string, nodeRunDir: string): ManagedPaths {
  assert(isAbsolute(dataDir) && isAbsolute(nodeRunDir), 'an engine needs absolute paths')
  const runDir = join(nodeRunDir, 'engine')
  const containerd = join(runDir, 'containerd')
  const dataRoot = join(dataDir, 'docker')
  const containerdSocket = join(containerd, 'sock')
  assert(containerdSocket.length <= socketPathMax, `${runDir} is too long for a socket's path`)
  const tag = createHash('sha256').update(runDir).digest('hex').slice(0, 10)
  return {
    dataRoot,
    runDir,
    socket: join(runDir, 'docker.sock'),
    pidFile: join(runDir, 'dockerd.pid'),
    daemonConfig: join(runDir, 'daemon.json'),
    execRoot: join(runDir, 'exec'),
    containerdConfig: join(containerd, 'config.toml'),
    containerdSocket,
    containerdRoot: join(containerd, 'root'),
    containerdState: join(containerd, 'state'),
    bound: [
      [join(runDir, 'data-containers'), join(dataRoot, 'containers')],
      [join(runDir, 'data-containerd'), join(dataRoot, 'containerd')],
      // Which layers were pulled, by digest: Docker never takes it back (20.10).
      [join(runDir, 'data-distribution'), join(dataRoot, 'image/overlay2/distribution')],
    ],
    log: join(runDir, 'dockerd.log'),
    containerdLog: join(runDir, 'containerd.log'),
    cgroup: `/potluck-${tag}`,
  }
}
