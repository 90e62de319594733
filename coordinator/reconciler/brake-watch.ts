/**
 * The brake at work: looks at who is silent each round, keeps a hold on disk (a coordinator that
 * restarts in one would replace at the end of its reconnect window all that it held for), and asks for
 * its own checks while it holds.
 */
import Type from 'typebox'
import type { Clock } from '../../protocol/clock.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { ListSchema, PeerIdSchema, TimeMsSchema } from '../../protocol/wire/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type BrakeState, brake, type Watched } from './brake.ts'
import type { OwnChecks } from './own-checks.ts'
import type { Settling } from './settling.ts'

export interface BrakeWatch {
  readonly holding: boolean
  /** Looks again. */
  update(): void
  stop(): Promise<void>
}

export type BrakeWatchComponents = Readonly<{
  store: Store
  sessions: Pick<Sessions, 'nodes'>
  settling: Settling
  ownChecks: OwnChecks
  /** Something changed that a plan depends on. */
  onChange: () => void
  clock: Clock
  /** Coordinator's time. */
  nowMs: () => number
  logger: Logger
}>

const HoldRecordSchema = Type.Object({
  sinceMs: TimeMsSchema,
  fallen: ListSchema(
    Type.Object({ node: PeerIdSchema, household: Type.String(), heardMs: TimeMsSchema }),
    100_000,
  ),
})

/** A look goes over all nodes; rounds of the loop come much more often. */
const lookEveryMs = 500
const checkEveryMs = 15_000
const checkMs = 8_000
/** Checks that have not been done for so long say nothing any more. */
const checkedForMs = 40_000

/** Takes up a hold that the process before this one was in. */
export async function openBrakeWatch(
  { leaseMs }: Readonly<{ leaseMs: number }>,
  components: BrakeWatchComponents,
): Promise<BrakeWatch> {
  const { store, sessions, settling, ownChecks, onChange, clock, nowMs, logger } = components
  const holds = collection(store, 'brake', HoldRecordSchema)
  const kept = await holds.get('hold')
  let state: BrakeState = { judgedUntilMs: 0, ...(kept ? { hold: kept } : {}) }
  if (kept) logger.error({ nodes: kept.fallen.length }, 'the brake is on since before the start')
  const stopped = new AbortController()
  let writing: Promise<void> = Promise.resolve()
  let checking: Promise<void> | undefined
  let checkDueMs = 0
  let lookedMs = Number.NEGATIVE_INFINITY
  let soundUntilMs = Number.NEGATIVE_INFINITY

  const keep = ({ hold }: BrakeState): void => {
    const record = hold && { sinceMs: hold.sinceMs, fallen: hold.fallen.map((one) => ({ ...one })) }
    writing = writing
      .then(() => (record ? holds.put('hold', record) : holds.delete('hold')))
      .catch((error: unknown) => logger.error({ error }, 'the hold could not be put on record'))
  }
  const checkSoon = (): void => {
    const atMs = clock.nowMs()
    if (checking || atMs < checkDueMs || stopped.signal.aborted) return
    checkDueMs = atMs + checkEveryMs
    checking = ownChecks({
      signal: AbortSignal.any([stopped.signal, clock.timeout(checkMs)]),
    })
      .catch(() => false)
      .then((isSound) => {
        soundUntilMs = isSound ? clock.nowMs() + checkedForMs : Number.NEGATIVE_INFINITY
      })
      .finally(() => {
        checking = undefined
      })
  }
  const watched = (): readonly Watched[] => {
    const aheadMs = nowMs() - clock.nowMs()
    const seen: Watched[] = []
    for (const { node, household, lastSeenMs, banned, departed } of sessions.nodes.values()) {
      if (banned || departed) continue
      seen.push({ node, household, heardMs: Math.round(lastSeenMs + aheadMs) })
    }
    // Those that did not come back within the reconnect window fell silent when it ended.
    const missing = settling.settled ? settling.missing : new Set<PeerId>()
    for (const node of missing) {
      if (sessions.nodes.has(node)) continue
      seen.push({ node, household: `unknown ${node}`, heardMs: settling.endMs - leaseMs })
    }
    return seen
  }
  return {
    get holding() {
      return state.hold !== undefined
    },
    update() {
      if (clock.nowMs() - lookedMs < lookEveryMs) return
      lookedMs = clock.nowMs()
      const { hold } = state
      if (hold) checkSoon()
      const isSound = clock.nowMs() <= soundUntilMs
      state = brake(state, { nowMs: nowMs(), nodes: watched(), isSound, leaseMs })
      if (state.hold === hold) return
      if (!hold) {
        const nodes = state.hold?.fallen.length
        logger.error({ nodes }, 'many nodes fell silent at once: holding, nothing is replaced')
      } else if (!state.hold) logger.warn({}, 'the brake is off: what is silent is replaced again')
      if (hold?.fallen.length === state.hold?.fallen.length) return
      keep(state)
      onChange()
    },
    async stop() {
      stopped.abort(new Error('the coordinator stops'))
      await checking
      await writing
    },
  }
}
