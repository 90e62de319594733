/**
 * How a stranger's container is confined: one pure function from what was ordered to what Docker is
 * asked for, so that every field of the confinement can be tested on the request itself. A field
 * left out here is a default of Docker's, and some of those (NET_RAW, no pids limit, any amount of
 * swap) are not fit for a stranger in a chef's home. Source: Potluck's hardening list, measured on
 * Engine 20.10: CapEff 0x4fb, NoNewPrivs 1, Seccomp 2.
 */
import type { ContainerCreateOptions, HostConfig } from 'dockerode'
import type { ContainerSpec, EngineInfo } from './engine.ts'
import { containerLabels } from './labels.ts'
import { deviceEnv, filterTenantEnv } from './tenant-env.ts'

/** What images need to start as root and step down; less NET_RAW, MKNOD, SYS_CHROOT and so on. */
const capabilities = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'SETGID',
  'SETUID',
  'KILL',
  'NET_BIND_SERVICE',
]

const nofileSoft = 1024
const nofileHard = 4096
const pidsMax = 512
/** /tmp lies in memory and counts as the container's memory: half of it at most. */
const tmpfsShare = 2

export type CreatePlace = Readonly<{
  /** The instance's own network. */
  network: string
  /** Resolvers that the container is given; the home's own are out of its reach. */
  dns: readonly string[]
  /** Cgroup that the container's is made in; absent for the engine's default. */
  cgroupParent?: string
}>

/** The fields of Docker's API that @types/dockerode does not know yet. */
export type ConfinedHostConfig = HostConfig & { readonly CgroupnsMode: 'private' }
export type CreateRequest = ContainerCreateOptions & {
  readonly name: string
  readonly HostConfig: ConfinedHostConfig
}

/** The name of the instance's container and of its network: a second `create` of it collides. */
export function containerName(instance: string): string {
  return `potluck-${instance}`
}

/** The request for one confined container. */
export function createOptions(
  spec: ContainerSpec,
  info: Pick<EngineInfo, 'storageQuota' | 'nofileMax'>,
  place: CreatePlace,
): CreateRequest {
  const hasCommand = spec.command.length > 0
  return {
    name: containerName(spec.instance),
    Image: spec.reference,
    Hostname: spec.hostname,
    ...(hasCommand ? { Cmd: [...spec.command] } : {}),
    Env: [
      ...filterTenantEnv({ ...spec.env, ...spec.identity }).entries,
      ...deviceEnv(spec.limits.gpuUuids),
    ],
    Labels: containerLabels(spec),
    Tty: false,
    OpenStdin: false,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ExposedPorts: {},
    // An image's health check would be a second judge of it, and run unasked.
    Healthcheck: { Test: ['NONE'] },
    HostConfig: { ...confinement(place), ...limits(spec, info), ...devices(spec) },
  }
}

function confinement(place: CreatePlace): ConfinedHostConfig {
  return {
    Privileged: false,
    CapDrop: ['ALL'],
    CapAdd: [...capabilities],
    SecurityOpt: ['no-new-privileges:true'],
    CgroupnsMode: 'private',
    IpcMode: 'private',
    PidMode: '',
    UTSMode: '',
    UsernsMode: '',
    NetworkMode: place.network,
    PortBindings: {},
    PublishAllPorts: false,
    Dns: [...place.dns],
    DnsSearch: ['.'],
    ExtraHosts: [],
    Binds: [],
    Mounts: [],
    VolumesFrom: [],
    Devices: [],
    DeviceCgroupRules: [],
    Init: true,
    RestartPolicy: { Name: 'no' },
    AutoRemove: false,
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    ...(place.cgroupParent === undefined ? {} : { CgroupParent: place.cgroupParent }),
  }
}

function limits(
  { limits: asked }: ContainerSpec,
  info: Pick<EngineInfo, 'storageQuota' | 'nofileMax'>,
): Partial<HostConfig> {
  // Above the engine's own hard limit the start fails with "error setting rlimit type 7".
  const hard = Math.min(nofileHard, info.nofileMax)
  return {
    Memory: asked.memoryBytes,
    MemorySwap: asked.memoryBytes,
    MemorySwappiness: 0,
    OomKillDisable: false,
    OomScoreAdj: 500,
    NanoCpus: asked.milliCpus * 1_000_000,
    CpuShares: 128,
    PidsLimit: pidsMax,
    Ulimits: [
      { Name: 'nofile', Soft: Math.min(nofileSoft, hard), Hard: hard },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    ShmSize: asked.shmBytes,
    Tmpfs: { '/tmp': `rw,nosuid,nodev,size=${Math.floor(asked.memoryBytes / tmpfsShare)}` },
    ...(info.storageQuota === 'exact' ? { StorageOpt: { size: String(asked.storageBytes) } } : {}),
  }
}

/** Exactly the GPUs allocated, by UUID; never a count, which would let the engine choose. */
function devices({ limits: { gpuUuids } }: ContainerSpec): Partial<HostConfig> {
  if (gpuUuids.length === 0) return { DeviceRequests: [] }
  const request = {
    Driver: 'nvidia',
    DeviceIDs: [...gpuUuids],
    Capabilities: [['gpu', 'compute', 'utility']],
  }
  return { DeviceRequests: [request] }
}
