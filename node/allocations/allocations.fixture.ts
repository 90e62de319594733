/**
 * Allocations over a simulated engine, a store in memory and signed orders, for tests. What is
 * around them can be changed by a test; what they report is in plain sight.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../protocol/clock.ts'
import { createCoordinatorTime, type InstanceReport } from '../../protocol/control/index.ts'
import type { Digest, InstanceId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { type Allocation, allocationSecretsCodec } from '../../protocol/orders/index.ts'
import { nowMs, orderFixture } from '../../protocol/orders/orders.fixture.ts'
import { createKeyRing, type KeyRing, seal } from '../../protocol/sealing/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { createSimulatedEngine, type Engine, type ObservedContainer } from '../engine/index.ts'
import type { GuardTime } from '../guard/index.ts'
import { judgeLease, type Word } from '../leases/index.ts'
import type { ImageFetcher } from './image-fetcher.ts'
import { type Allocations, createAllocations, openSlotBook } from './index.ts'

export const digest = `sha256:${'d'.repeat(64)}` as Digest
export const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
export const slot = (group: number, number = 0): SlotId => `${uuid(group)}/${number}` as SlotId
const signal = new AbortController().signal
const quick = { pull: 'pretend', pullMs: 1, unpackMs: 1, startMs: 1, stopMs: 1 } as const

export interface AllocationsBench {
  readonly orders: Awaited<ReturnType<typeof orderFixture>>
  readonly store: Store
  engine: Engine
  /** So far, of all that were opened. */
  reports: InstanceReport[]
  /** What the guard was last told. */
  guarded: ReadonlyMap<InstanceId, GuardTime>
  /** What the guard takes its time for. */
  guardIsOn: () => Promise<void>
  /** Another life of the daemon, over the same engine and store. */
  open(remembered?: ReadonlyMap<InstanceId, GuardTime>): Promise<Allocations>
  /** What is known of the world when a lease has lapsed; a line that is down by default. */
  word: Word
  order(changes?: Partial<Allocation>): Promise<Signed>
  /** Resolves when a report says so, past ones included. */
  until(state: string, epoch?: number): Promise<void>
  /** Those that run. */
  containers(): Promise<readonly ObservedContainer[]>
  ring(): KeyRing
  close(): Promise<void>
}

export async function openAllocationsBench(): Promise<AllocationsBench> {
  const dir = await mkdtemp(join(tmpdir(), 'potluck-allocations-'))
  const waiting: { when: (report: InstanceReport) => boolean; then: () => void }[] = []
  const bench: AllocationsBench = {
    orders: await orderFixture(),
    store: createMemoryStore(),
    engine: createSimulatedEngine(quick, { clock: systemClock }),
    reports: [],
    guarded: new Map(),
    guardIsOn: async () => undefined,
    word: { witnesses: 0 },
    async open(remembered = new Map()) {
      const time = createCoordinatorTime({ clock: systemClock })
      time.take(nowMs, systemClock.nowMs())
      const { engine, orders, store } = bench
      const onReport = (report: InstanceReport): void => {
        bench.reports.push(report)
        for (const one of waiting.filter(({ when }) => when(report))) one.then()
      }
      const allocations = createAllocations(
        { node: orders.node, allocationsMax: 2, remembered, onReport },
        {
          keeper: orders.keeper,
          time,
          book: await openSlotBook({ store }),
          keys: bench.ring(),
          engine,
          images: imagesOf(engine),
          guard: {
            async allow(times) {
              bench.guarded = times
              await bench.guardIsOn()
            },
            stop: async () => undefined,
          },
          leases: {
            otherHouseholds: undefined,
            judge: (lease) => judgeLease(lease, bench.word, time.nowMs() ?? 0),
          },
          clock: systemClock,
          logger: silentLogger,
        },
      )
      await allocations.recover({ signal })
      return allocations
    },
    async order(changes = {}) {
      const [key] = await bench.ring().make(1)
      if (!key) throw new Error('no key was made')
      const secrets = allocationSecretsCodec.encode({
        v: 1,
        manifest: new Uint8Array(2),
        manifestDigest: digest,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        blobs: [],
        env: { GREETING: 'hello' },
        command: [],
        ...{ organization: 'acme', organizationId: uuid(1) },
        ...{ project: 'web', projectId: uuid(2), group: 'g', groupId: uuid(3) },
      })
      return bench.orders.signAllocation({ sealed: seal(secrets, key), ...changes })
    },
    async until(state, epoch = 3) {
      const when = (report: InstanceReport): boolean =>
        report.state === state && report.epoch === epoch
      if (bench.reports.some(when)) return
      await new Promise<void>((then) => waiting.push({ when, then }))
    },
    async containers() {
      return (await bench.engine.list({ signal })).filter(({ state }) => state === 'running')
    },
    ring: () => createKeyRing({ dir: join(dir, 'keys') }),
    async close() {
      await bench.engine.close()
      await rm(dir, { recursive: true })
    },
  }
  return bench
}

/** A swarm that is over at once; the engine pulls for real, as far as it is real. */
function imagesOf(engine: Engine): ImageFetcher {
  return {
    transfer: () => ({
      progress: () => ({
        bytesTotal: 1,
        bytesDone: 1,
        bytesFromCaches: 1,
        bytesFromPeers: 0,
        bytesServed: 1,
      }),
      async pull(_secrets, { onUnpacking }) {
        onUnpacking()
        const reference = `127.0.0.1:1/bundle@${digest}`
        await engine.pull({ reference, username: 'u', password: 'p' }, { signal })
        return reference
      },
      release: async () => undefined,
    }),
  }
}
