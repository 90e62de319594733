/**
 * What the daemon needs of a container engine, and no more. Docker implements it for real; the
 * simulated engine keeps the same promises without one (both pass engine.conformance.ts).
 *
 * An engine knows nothing of leases or orders: it runs one confined container per instance, tells
 * what it sees, and removes what it is told to. Everything it makes carries Potluck's labels, and
 * what does not carry this node's labels it never touches.
 */
import type { Digest, Epoch, InstanceId, PeerId, SlotId, Term } from '../../protocol/ids.ts'

/** Where and how the engine pulls: the node's own loopback endpoint, for this pull alone. */
export type PullSource = Readonly<{
  /** `127.0.0.1:PORT/<repository>@sha256:…`; always by digest. */
  reference: string
  username: string
  /** Valid for this pull, void after it. */
  password: string
}>

/** An image that is streamed into an engine which cannot pull it. */
export type ImageArchive = Readonly<{
  /** The manifest's digest. */
  image: Digest
  manifest: Uint8Array
  /** The plain bytes of config or layer, as they arrive. */
  open(digest: Digest, options: EngineWait): AsyncIterable<Uint8Array>
}>

/** How images get into an engine: it pulls them, or is sent them. */
export type ImageTransfer = 'pull' | 'load'

export type PullProgress = Readonly<{
  /** Layers in the image, and those unpacked already. */
  layersTotal: number
  layersDone: number
}>

export type ContainerLimits = Readonly<{
  /** Thousandths of a core. */
  milliCpus: number
  memoryBytes: number
  /** Writable layer and volumes together. */
  storageBytes: number
  shmBytes: number
  /** UUIDs of exactly the GPUs allocated (`GPU-…`); empty for none. */
  gpuUuids: readonly string[]
}>

export type ContainerSpec = Readonly<{
  node: PeerId
  slot: SlotId
  term: Term
  epoch: Epoch
  instance: InstanceId
  /** The manifest's digest, as pulled. */
  image: Digest
  reference: string
  /** Replaces the image's command when not empty. */
  command: readonly string[]
  /** The tenant's. Never logged, never in a label. */
  env: Readonly<Record<string, string>>
  /** Potluck's own variables, over the tenant's: who the container is. No secrets. */
  identity?: Readonly<Record<string, string>>
  hostname: string
  limits: ContainerLimits
}>

export type ContainerState = 'created' | 'running' | 'paused' | 'exited'

/** One container of ours, as the engine sees it now. */
export type ObservedContainer = Readonly<{
  id: string
  slot: SlotId
  term: Term
  epoch: Epoch
  instance: InstanceId
  image: Digest
  state: ContainerState
  exitCode?: number
  /** Killed for exceeding its memory. */
  oomKilled: boolean
}>

export type ContainerUsage = Readonly<{
  /** What the container wrote: writable layer and volumes. */
  storageBytes: number
}>

/** Versions are as the engine prints them; absent where there is none. */
export type EngineInfo = Readonly<{
  kind: 'docker' | 'simulated'
  /** Started and owned by this node: its Env never lies on a disk (bundle.md, Env). */
  managed: boolean
  versions: Readonly<{
    engine: string
    containerd?: string
    runc?: string
    nvidiaToolkit?: string
    kernel: string
  }>
  /** `exact`: the engine stops writes at the limit; `watched`: the node polls and stops. */
  storageQuota: 'exact' | 'watched'
  /** The highest hard limit on open files that a container may be given. */
  nofileMax: number
}>

export interface Engine {
  info(options: EngineWait): Promise<EngineInfo>
  /**
   * `load` where the engine cannot reach the node's loopback, and so cannot pull. May ask the engine.
   * @throws {EngineError} ENGINE_UNREACHABLE
   */
  imageTransfer(options: EngineWait): Promise<ImageTransfer>
  /** Pulls by digest. @throws {EngineError} with the engine's own words, without the password. */
  pull(
    source: PullSource,
    options: EngineWait & { readonly onProgress?: (progress: PullProgress) => void },
  ): Promise<void>
  /**
   * Takes an image as a stream; `run` finds it by its digest as if it had been pulled. Every blob is
   * verified on the way. Returns the reference that the engine knows it by.
   * @throws {EngineError} LOAD_FAILED, ENGINE_DISK_SHORT; what `archive.open` throws as LOAD_FAILED
   */
  load(
    archive: ImageArchive,
    options: EngineWait & { readonly onProgress?: (progress: PullProgress) => void },
  ): Promise<string>
  /**
   * Creates the instance's own network and container, confined (swarm.md 5), and starts it. The
   * isolation of the network is checked after the start; if the check fails the container is
   * removed. Idempotent for the same instance and fence: an existing one is adopted.
   * @throws {EngineError} `GPU_UNAVAILABLE`, `ISOLATION_FAILED`, `ENGINE_REFUSED`, …
   */
  run(spec: ContainerSpec, options: EngineWait): Promise<ObservedContainer>
  /** Containers of this node, in every state. */
  list(options: EngineWait): Promise<readonly ObservedContainer[]>
  /** Resolves when the container is no longer running. @throws the signal's reason. */
  waitExit(containerId: string, options: EngineWait): Promise<{ readonly exitCode: number }>
  usage(containerId: string, options: EngineWait): Promise<ContainerUsage>
  /** The last `lines` of stdout and stderr, oldest first. */
  logTail(containerId: string, lines: number, options: EngineWait): Promise<readonly string[]>
  /**
   * Starts a container that exited, or was created and never started, in place (restart by Potluck
   * alone). One that runs goes on; its isolation is proved anew.
   */
  restart(containerId: string, options: EngineWait): Promise<ObservedContainer>
  /**
   * SIGTERM, `graceMs` (more than 0), SIGKILL; the container stays as it is, to be restarted. One that
   * does not run is left alone.
   */
  stop(containerId: string, options: EngineWait & { readonly graceMs: number }): Promise<void>
  /** SIGTERM, `graceMs`, SIGKILL; then removes container, volumes and network. Idempotent. */
  remove(containerId: string, options: EngineWait & { readonly graceMs: number }): Promise<void>
  /** Removes the image if no container uses it, and what it alone needed. Idempotent. */
  removeImage(image: Digest, options: EngineWait): Promise<void>
  /** Digests of images that this engine holds because this node pulled them. */
  images(options: EngineWait): Promise<readonly Digest[]>
  /** Releases connections; an engine that the node started is stopped by its own handle. */
  close(): Promise<void>
}

export type EngineWait = Readonly<{ signal: AbortSignal }>
