/** A node of the world: the production allocations over a simulated engine and a store in memory. */

import { type Allocations, createAllocations, openSlotBook } from '../../node/allocations/index.ts'
import { createSimulatedEngine } from '../../node/engine/index.ts'
import type { GuardTime } from '../../node/guard/index.ts'
import { judgeLease } from '../../node/leases/index.ts'
import type { FakeClock } from '../../protocol/clock.ts'
import type { Capacity, Renewal } from '../../protocol/control/index.ts'
import { createCoordinatorTime } from '../../protocol/control/index.ts'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { TermKeeper } from '../../protocol/orders/index.ts'
import type { PulseKeeper } from '../../protocol/pulse/index.ts'
import { createKeyRing } from '../../protocol/sealing/index.ts'
import { createMemoryStore } from '../../protocol/store/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'

export type Answered = Readonly<{ network: string; pulse: Signed | undefined }>

export interface WorldNode {
  readonly peer: PeerId
  readonly pulses: PulseKeeper
  readonly allocations: Allocations
  readonly lends: Capacity
  /** What its guard was last told, on the boot clock. */
  guarded: ReadonlyMap<InstanceId, GuardTime>
  /** How long an image takes to come. */
  pullMs: number
  /** The machine is off. */
  isDead: boolean
  takeKey(): Uint8Array | undefined
  answered(
    answer: Readonly<{
      timeMs: number
      renewals: readonly Renewal[]
      pulse: Signed | undefined
      others: number
    }>,
    sentMs: number,
  ): Promise<void>
  close(): Promise<void>
}

const pollMs = 15_000
const lends: Capacity = {
  ...{ milliCpus: 4_000, memoryBytes: 2 ** 33, storageBytes: 2 ** 40, gpus: [], region: 'local' },
  ...{ versions: {}, allocationsMax: 1, envAllowed: true },
}

export async function startNode({
  peer,
  keeper,
  pulses,
  clock,
  dir,
  askPeers,
}: Readonly<{
  peer: PeerId
  keeper: TermKeeper
  pulses: PulseKeeper
  clock: FakeClock
  dir: string
  askPeers: (node: WorldNode) => readonly Answered[]
}>): Promise<WorldNode> {
  const time = createCoordinatorTime({ clock })
  const ring = createKeyRing({ dir })
  const engine = createSimulatedEngine(
    { pull: 'pretend', pullMs: 1, unpackMs: 1, startMs: 1, stopMs: 1 },
    { clock },
  )
  const keys: Uint8Array[] = []
  const heardMs = new Map<string, number>()
  let otherHouseholds: number | undefined
  let dueMs = 0

  /** As the lease watch does over the mesh. */
  const ask = (nowMs: number): void => {
    if (clock.nowMs() < dueMs) return
    dueMs = clock.nowMs() + pollMs
    for (const { network, pulse } of askPeers(node)) {
      heardMs.set(network, nowMs)
      if (pulse) pulses.take(pulse)
    }
  }
  const node: WorldNode = {
    ...{ peer, pulses, lends, guarded: new Map(), pullMs: 1, isDead: false },
    takeKey: () => keys.shift(),
    async answered({ timeMs, renewals, pulse, others }, sentMs) {
      time.take(timeMs, sentMs)
      if (pulse) pulses.take(pulse)
      otherHouseholds = others
      await node.allocations.renew(renewals)
      if (keys.length < 4) keys.push(...(await ring.make(4)))
    },
    async close() {
      await engine.close()
    },
    allocations: createAllocations(
      { node: peer, allocationsMax: 1, remembered: new Map(), onReport: () => undefined },
      {
        ...{ keeper, time, keys: ring, engine, clock, logger: silentLogger },
        book: await openSlotBook({ store: createMemoryStore() }),
        images: {
          transfer: () => ({
            progress: () => ({
              ...{ bytesTotal: 1, bytesDone: 1, bytesFromCaches: 1, bytesFromPeers: 0 },
              bytesServed: 1,
            }),
            async pull(_secrets, { onUnpacking }) {
              await clock.sleep(node.pullMs)
              onUnpacking()
              const { signal } = new AbortController()
              const reference = `127.0.0.1:1/bundle@sha256:${'d'.repeat(64)}`
              await engine.pull({ reference, username: 'u', password: 'p' }, { signal })
              return reference
            },
            release: async () => undefined,
          }),
        },
        guard: {
          async allow(times) {
            node.guarded = times
          },
          stop: async () => undefined,
        },
        leases: {
          get otherHouseholds() {
            return otherHouseholds
          },
          judge(lease) {
            const nowMs = time.nowMs()
            if (nowMs === undefined) return undefined
            if (nowMs > lease.leaseEndMs) ask(nowMs)
            const later = [...heardMs.values()].filter((atMs) => atMs > lease.leaseEndMs)
            const lastWitnessMs = later.length > 0 ? Math.max(...later) : undefined
            const pulse = pulses.newest?.pulse
            const word = { pulse, witnesses: later.length, lastWitnessMs, otherHouseholds }
            return judgeLease(lease, word, nowMs)
          },
        },
      },
    ),
  }
  await node.allocations.recover({ signal: new AbortController().signal })
  keys.push(...(await ring.make(8)))
  return node
}
