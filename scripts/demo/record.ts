/**
 * What one run of the demo found: the figures, and each thing that had to hold. The demo passes only
 * when every check was made and held, so one that was never reached cannot pass for one that held.
 */

/** Bytes are compressed blob bytes. Null: the run ended before it was known. */
export type Figures = {
  imageBytes: number | null
  registryBytes: number | null
  maxReadsPerBlob: number | null
  nodes: number | null
  replicas: number | null
  /** From the request to the last replica running. */
  toRunningS: number | null
  /** From `kill -9` to the replacement running. */
  replacedInS: number | null
  epochBefore: number | null
  epochAfter: number | null
  peerBytes: number | null
  /** Processes, containers, images, namespaces, mounts, files. */
  leftovers: number | null
}

export const checkNames = {
  oneRead: 'every blob was read from the registry exactly once',
  registryBytes: 'the registry gave no more bytes than the image has',
  allRun: 'the replicas run, each on a node of its own',
  served: "each node's engine got the whole image from the node's own endpoint",
  peers: 'nodes handed the image to each other',
  output: 'each container says that it serves',
  environment: "the tenant's environment variables are in each container",
  secrets: 'the password and the environment lie in no file outside memory',
  replaced: 'the lost slot moved to the spare node under a higher epoch',
  oneReadStill: 'the replacement read nothing from the registry',
  noneTooMany: 'the lost node removed its old container when it came back',
  gone: 'no container and no image is left in any engine',
  leftNothing: 'nothing is left: processes, mounts, namespaces, files',
} as const
export type CheckName = keyof typeof checkNames

export type Check = Readonly<{ name: CheckName; held: boolean; detail: string }>

export interface Record {
  readonly figures: Figures
  /** Notes a check with what was seen; each is made once. */
  check(name: CheckName, held: boolean, detail: string): void
  checks(): readonly Check[]
  /** Every check was made, and held. */
  passed(): boolean
}

export function createRecord(): Record {
  const checks = new Map<CheckName, Check>()
  const figures: Figures = {
    imageBytes: null,
    registryBytes: null,
    maxReadsPerBlob: null,
    nodes: null,
    replicas: null,
    toRunningS: null,
    replacedInS: null,
    epochBefore: null,
    epochAfter: null,
    peerBytes: null,
    leftovers: null,
  }
  return {
    figures,
    check(name, held, detail) {
      checks.set(name, { name, held: held && (checks.get(name)?.held ?? true), detail })
    },
    checks: () => [...checks.values()],
    passed: () =>
      checks.size === Object.keys(checkNames).length &&
      [...checks.values()].every(({ held }) => held),
  }
}
