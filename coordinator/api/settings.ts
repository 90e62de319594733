/**
 * What an operator may set about the API. The defaults are the documented limits of the contract;
 * beyond them a tenant gets a clear 400, not a group that never runs.
 */
export type ContainerLimits = Readonly<{
  cpuMax: number
  memoryMbMax: number
  storageBytesMax: number
  replicasMax: number
  commandItemsMax: number
  commandItemLengthMax: number
  envVariablesMax: number
  envNameLengthMax: number
  envValueLengthMax: number
  /** All words together, and all names and values: an order carries them to every node. */
  commandBytesMax: number
  envBytesMax: number
}>

export type ApiSettings = Readonly<{
  limits: ContainerLimits
  /** Requests of one key. 0: no limit. */
  ratePerMinute: number
  /** Requests of one address with a wrong key. 0: no limit. */
  wrongKeysPerMinute: number
  /** Above it, 413. */
  bodyBytesMax: number
  headerBytesMax: number
  /** Requests at work at once; above it, 503. */
  inflightMax: number
  /** From the first byte of a request to its last. */
  requestTimeoutMs: number
  /** From the whole request to the answer. */
  handlerTimeoutMs: number
  /** Shown by the quotas endpoint; `createGroups` enforces it. */
  replicasQuota: number
  /** Container groups get a name below it; the gateway will answer there. */
  gatewayDomain: string
  /** Whether to believe X-Forwarded-For: only behind a proxy of the operator's own. */
  trustProxy: boolean
}>

export const defaultApiSettings: ApiSettings = {
  limits: {
    cpuMax: 16,
    memoryMbMax: 61_440,
    storageBytesMax: 268_435_456_000,
    replicasMax: 500,
    commandItemsMax: 100,
    commandItemLengthMax: 1_000,
    envVariablesMax: 1_000,
    envNameLengthMax: 256,
    envValueLengthMax: 1_000,
    // An order's secrets hold 590,000 bytes (protocol/orders), of which a manifest may take 262,144.
    commandBytesMax: 131_072,
    envBytesMax: 131_072,
  },
  ratePerMinute: 240,
  wrongKeysPerMinute: 60,
  bodyBytesMax: 1 << 20,
  headerBytesMax: 16_384,
  inflightMax: 1_000,
  requestTimeoutMs: 30_000,
  handlerTimeoutMs: 30_000,
  replicasQuota: 10_000,
  gatewayDomain: 'potluck.internal',
  trustProxy: false,
}
