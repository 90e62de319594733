/**
 * A peer's control stream, with what every peer does on it alike: offers keys, takes certificate,
 * time, secret and lists, and moves to another coordinator when a new term names one. The owner
 * brings what it holds and handles what is meant for it.
 */
import { AuditSplitError } from '../audit/index.ts'
import type { Clock } from '../clock.ts'
import {
  type Beat,
  type BeatAnswer,
  type ControlLink,
  type CoordinatorTime,
  createControlLink,
  type DownMessage,
  type Hello,
  type Welcome,
} from '../control/index.ts'
import { PotluckError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { isRelayed, type Mesh } from '../mesh/index.ts'
import type { PulseKeeper } from '../pulse/index.ts'
import type { Signed } from '../wire/index.ts'
import type { PeerAuditHeads } from './audit-heads.ts'
import type { BanFeed } from './ban-feed.ts'
import type { PeerLists } from './lists.ts'
import type { OneTimeKeys } from './one-time-keys.ts'
import type { PeerTerm } from './term.ts'

/** What only the owner knows when a stream opens. */
export type PeerFacts = Pick<Hello, 'held' | 'bundles' | 'partial'> &
  Readonly<{
    capacity?: Hello['capacity']
    /** Public halves of keys that held orders are sealed to; all others are erased. */
    keysInUse: readonly Uint8Array[]
  }>
/** What only the owner knows at each beat. */
export type PeerState = Pick<
  Beat,
  'instances' | 'bundles' | 'partial' | 'capacity' | 'misbehaviour'
>

export type PeerControlHandlers = Readonly<{
  facts(): Promise<PeerFacts>
  state(): PeerState
  /** False while nothing here depends on the coordinator: after its restart others go first. */
  isUrgent?(): boolean
  /** Time and lists are taken. A throw ends the stream. */
  onUp?(welcome: Welcome, sentMs: number): Promise<void> | void
  /** `sentMs`: on the boot clock, when the beat left. The time is taken. */
  onBeatAnswer?(answer: BeatAnswer, sentMs: number): void
  /** Must not wait. */
  onMessage(message: OwnMessage): void
  onDown?(): void
}>
/** What is not handled here. */
export type OwnMessage = Exclude<
  DownMessage,
  Welcome | BeatAnswer | { readonly type: 'lists' | 'audit-head' }
>

export type PeerControlInit = Readonly<{
  role: Hello['role']
  version: string
  coordinatorAddrs: readonly string[]
  handlers: PeerControlHandlers
  onSecret: (dhtSecret: Uint8Array) => void
  /** The newest signed verdicts on whether this peer can be dialled. */
  verdicts: () => readonly Signed[]
}>

export type PeerControlComponents = Readonly<{
  mesh: Mesh
  term: PeerTerm
  time: CoordinatorTime
  lists: PeerLists
  bans: Pick<BanFeed, 'take'>
  auditHeads: PeerAuditHeads
  keys: OneTimeKeys
  pulses: PulseKeeper
  clock: Clock
  random: () => number
  logger: Logger
}>

/** As `Hello.addrs` and `Hello.verdicts` allow. */
const addrsMax = 16
const verdictsMax = 2

/** Connects at once, and keeps at it until `stop()`. */
export function createPeerControl(
  init: PeerControlInit,
  components: PeerControlComponents,
): ControlLink {
  const { handlers } = init
  const { mesh, term, time, lists, auditHeads, bans, keys, pulses, clock, logger } = components
  const { keeper } = term
  let stopped = false
  let coordinator: PeerId = keeper.coordinator
  let moving: Promise<void> = Promise.resolve()
  let refill: Signed | undefined
  let refilling = false
  let told = ''

  /** Where we are dialled, when that is other than what was told last. */
  const whereabouts = (): Pick<Beat, 'addrs' | 'verdicts'> => {
    const all = mesh.getMultiaddrs().map(String)
    const direct = all.filter((address) => !isRelayed(address))
    const addrs = [...direct, ...all.filter(isRelayed)].slice(0, addrsMax)
    const verdicts = init.verdicts().slice(0, verdictsMax)
    const key = [
      ...addrs,
      ...verdicts.map(({ signature }) => Buffer.from(signature).toString('hex')),
    ].join()
    if (key === told) return {}
    told = key
    return { addrs, verdicts }
  }
  /** The link cannot be stopped from within its own handler, so the move happens beside it. */
  const move = (): void => {
    const old = link
    moving = moving.then(async () => {
      await old.stop({ flushMs: 0 })
      if (stopped) return
      coordinator = keeper.coordinator
      logger.info({ coordinator, term: keeper.term }, 'another coordinator was certified')
      link = open()
    })
  }
  const takeLists = (offered: ListsMessage): void => {
    takeSigned(offered, { lists, logger })
    if (offered.banNews) void bans.take(offered.banNews, coordinator)
  }
  const takeRefill = (wanted: number): void => {
    if (wanted === 0 || refilling || refill) return
    refilling = true
    keys
      .refill(wanted)
      .then(
        (made) => {
          refill = made
          link.beatNow()
        },
        (error: unknown) => logger.error({ error }, 'no one-time keys could be made'),
      )
      .finally(() => {
        refilling = false
      })
  }
  /** Hello tells it, a beat only what has changed since: 350 B each 5 s are a fifth of an idle home's traffic. */
  let toldCapacity: string | undefined
  const newCapacity = (
    capacity: Hello['capacity'],
    { isFirst = false } = {},
  ): Pick<Hello, 'capacity'> => {
    const text = capacity && JSON.stringify(capacity)
    const isKnown = !isFirst && text === toldCapacity
    toldCapacity = text
    return isKnown || !capacity ? {} : { capacity }
  }
  const hello = async (): Promise<Hello> => {
    const { keysInUse, capacity, held, bundles, partial } = await handlers.facts()
    refill = undefined
    told = ''
    return {
      type: 'hello',
      role: init.role,
      version: init.version,
      term: keeper.term,
      certificate: keeper.certificate,
      rosterNumber: lists.rosterNumber,
      banNumber: lists.banNumber,
      ...(pulses.newest && { pulse: pulses.newest.signed }),
      ...{ addrs: [], ...whereabouts() },
      keys: await keys.fresh(keysInUse),
      ...newCapacity(capacity, { isFirst: true }),
      held,
      bundles,
      ...(partial ? { partial } : {}),
      ...(auditHeads.newest ? { auditHead: auditHeads.newest } : {}),
    }
  }
  const open = (): ControlLink =>
    createControlLink(
      {
        coordinator,
        addresses: init.coordinatorAddrs,
        isUrgent: () => handlers.isUrgent?.() ?? true,
        handlers: {
          hello,
          async onWelcome(welcome, sentMs) {
            await term.adopt(welcome.certificate)
            if (keeper.coordinator !== coordinator) {
              move()
              throw new PotluckError('COORDINATOR_MOVED', `${keeper.coordinator} coordinates now`)
            }
            time.take(welcome.timeMs, sentMs)
            init.onSecret(welcome.dhtSecret)
            await lists.take(welcome)
            if (welcome.auditHead) keepHead(welcome.auditHead, { auditHeads, logger })
            await handlers.onUp?.(welcome, sentMs)
          },
          beat() {
            const keysOffered = refill
            refill = undefined
            const { capacity, ...state } = handlers.state()
            return {
              ...state,
              ...newCapacity(capacity),
              ...(keysOffered && { keys: keysOffered }),
              ...whereabouts(),
            }
          },
          onBeatAnswer(answer, sentMs) {
            time.take(answer.timeMs, sentMs)
            if (answer.pulse) pulses.hear(answer.pulse)
            takeRefill(answer.keysWanted)
            handlers.onBeatAnswer?.(answer, sentMs)
          },
          onMessage(message) {
            if (message.type === 'lists') takeLists(message)
            else if (message.type === 'audit-head') keepHead(message.head, { auditHeads, logger })
            else handlers.onMessage(message)
          },
          onDown: () => handlers.onDown?.(),
        },
      },
      { mesh, clock, random: components.random, logger },
    )
  let link = open()
  return {
    send: (message) => link.send(message),
    beatNow: () => link.beatNow(),
    get isUp() {
      return link.isUp
    },
    async stop(options) {
      stopped = true
      await moving
      await link.stop(options)
    },
  }
}

/** A contradiction is told and kept; work goes on, because a tenant's containers are not to blame. */
function keepHead(
  head: Signed,
  { auditHeads, logger }: Pick<PeerControlComponents, 'auditHeads' | 'logger'>,
): void {
  auditHeads.take(head).catch((error: unknown) => {
    const isSplit = error instanceof AuditSplitError
    logger.error({ error }, isSplit ? error.message : 'an audit head cannot be taken')
  })
}

type ListsMessage = Extract<DownMessage, { readonly type: 'lists' }>

function takeSigned(
  offered: ListsMessage,
  { lists, logger }: Pick<PeerControlComponents, 'lists' | 'logger'>,
): void {
  lists.take(offered).catch((error: unknown) => {
    logger.error({ error }, 'the coordinator sent a list that cannot be taken')
  })
}
