/**
 * The cache's side of link tests. It measures both directions itself, because what a node says of
 * its own line decides who gets work. A test costs the cache's line, so strangers get none, a peer
 * one now and then, and one peer at a time; while chunks are served, nobody.
 */
import { randomBytes } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { PotluckError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import type { Logger } from '../log/index.ts'
import { type Mesh, peerIdOf } from '../mesh/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import type { LinkRate } from './asker.ts'
import { Arrivals, rateOf } from './rounds.ts'
import {
  isProof,
  linkTestProtocol,
  pieceBytes,
  proofOf,
  type TestAnswer,
  type TestAsk,
  type TestRefusal,
  testAnswerCodec,
  testAskCodec,
  testBytesMax,
  testChannel,
  testMs,
  tokenBytes,
} from './wire.ts'

/** At once, over all peers: two would measure one another. */
const testsMax = 1
/** Between two tests of one peer. */
const againMs = 60_000
/** Peers whose last test is remembered. */
const peersMax = 20_000

export type LinkTestsComponents = Readonly<{
  mesh: Mesh
  clock: Clock
  /** Undefined before the coordinator's welcome: nobody can prove anything then. */
  secret: () => Uint8Array | undefined
  /** Whether the line is needed for something else. */
  isBusy: () => boolean
  /** What was measured of a peer. Must not throw. */
  onMeasured: (peer: PeerId, rate: LinkRate) => void
  logger: Logger
}>

export interface LinkTests {
  start(): Promise<void>
  /** Ends those under way. Twice is harmless. */
  stop(): Promise<void>
}

/** Answers link tests from `start()` on. */
export function createLinkTests(components: LinkTestsComponents): LinkTests {
  const { mesh, clock, logger, secret, isBusy, onMeasured } = components
  const self = peerIdOf(mesh.peerId)
  const lastMs = new LRUCache<PeerId, number>({ max: peersMax })
  const running = new Set<Promise<void>>()
  const ended = new AbortController()
  let testing = 0

  const refusalOf = (peer: PeerId, proof: Uint8Array): TestRefusal | undefined => {
    const key = secret()
    if (!key || !isProof(proof, proofOf(key, peer, self))) return 'STRANGER'
    if (clock.nowMs() - (lastMs.get(peer) ?? Number.NEGATIVE_INFINITY) < againMs) return 'TOO_SOON'
    return testing >= testsMax || isBusy() ? 'BUSY' : undefined
  }
  const test = async (stream: Stream, peer: PeerId, signal: AbortSignal): Promise<void> => {
    const channel = openChannel(stream, {
      inbound: testAskCodec,
      outbound: testAnswerCodec,
      ...testChannel,
    })
    try {
      const { message } = await channel.read({ signal })
      if (message.t !== 'ask') throw unexpected(message)
      const code = refusalOf(peer, message.proof)
      if (code) {
        await channel.write({ t: 'refused', code }, { signal })
        await channel.close({ signal })
        return
      }
      testing += 1
      lastMs.set(peer, clock.nowMs())
      try {
        const rate = await new TestSession(channel, clock, signal).run()
        onMeasured(peer, rate)
      } finally {
        testing -= 1
      }
      await channel.close({ signal })
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
      if (!ended.signal.aborted) logger.debug({ peer, error }, 'a link test ended early')
    }
  }
  const serve = (stream: Stream, connection: Connection): void => {
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(new Error('a link test took too long')), testMs)
    const signal = AbortSignal.any([ended.signal, deadline.signal])
    const served = test(stream, peerIdOf(connection.remotePeer), signal).finally(() => {
      clearTimeout(timer)
      running.delete(served)
    })
    running.add(served)
  }
  return {
    async start() {
      await mesh.handle(linkTestProtocol, serve, {
        // One is used; what was refused a moment ago may still be closing.
        maxInboundStreams: 4,
        maxOutboundStreams: 4,
        runOnLimitedConnection: false,
      })
    },
    async stop() {
      await mesh.unhandle(linkTestProtocol)
      ended.abort(new Error('link tests were stopped'))
      await Promise.all(running)
    },
  }
}

/** One peer's rounds. A round's word counts when it is at least as big as those before it. */
class TestSession {
  readonly #channel: Channel<TestAsk, TestAnswer>
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #upBitsPerS = 0
  #downBitsPerS = 0
  #sentBytes = 0
  #tookBytes = 0
  /** From our first word to its next: what a round downwards takes beside its bytes. */
  #roundTripMs = 0

  constructor(channel: Channel<TestAsk, TestAnswer>, clock: Clock, signal: AbortSignal) {
    this.#channel = channel
    this.#clock = clock
    this.#signal = signal
  }

  /** @throws {PotluckError} PROTOCOL_BREACH; the channel's errors. */
  async run(): Promise<LinkRate> {
    const signal = this.#signal
    const startMs = this.#clock.nowMs()
    await this.#channel.write({ t: 'go' }, { signal })
    let ask = await this.#next()
    this.#roundTripMs = this.#clock.nowMs() - startMs
    for (;;) {
      if (ask.t === 'send') ask = await this.#send(ask.bytes)
      else if (ask.t === 'take') ask = await this.#take(ask.bytes)
      else if (ask.t === 'done') break
      else throw unexpected(ask)
    }
    const rate = { upBitsPerS: this.#upBitsPerS, downBitsPerS: this.#downBitsPerS }
    await this.#channel.write({ t: 'result', ...rate }, { signal })
    return rate
  }

  /** Until it names the last bytes: before they came it cannot, so the time is the line's. */
  async #send(bytes: number): Promise<TestAsk> {
    const signal = this.#signal
    this.#sentBytes += bytes
    if (this.#sentBytes > testBytesMax) throw tooMuch()
    const startMs = this.#clock.nowMs()
    const token = randomBytes(tokenBytes)
    for (let sent = 0; sent < bytes; sent += pieceBytes) {
      const body = new Uint8Array(Math.min(pieceBytes, bytes - sent))
      if (sent + pieceBytes >= bytes) body.set(token, body.length - tokenBytes)
      await this.#channel.write({ t: 'data' }, { signal, body })
    }
    const got = await this.#next()
    const tookMs = this.#clock.nowMs() - startMs
    if (got.t !== 'got' || !isProof(got.token, token)) throw unexpected(got)
    this.#downBitsPerS = rateOf(bytes, Math.max(tookMs / 4, tookMs - this.#roundTripMs))
    return await this.#next()
  }

  async #take(bytes: number): Promise<TestAsk> {
    const signal = this.#signal
    this.#tookBytes += bytes
    if (this.#tookBytes > testBytesMax) throw tooMuch()
    const arrivals = new Arrivals(this.#clock.nowMs())
    for (let got = 0; got < bytes; ) {
      const { message, body } = await this.#channel.read({ signal })
      if (message.t !== 'data' || body.length === 0) throw unexpected(message)
      got += body.length
      arrivals.add(body.length, this.#clock.nowMs())
    }
    this.#upBitsPerS = arrivals.bitsPerS()
    const ms = Math.min(testMs, Math.round(arrivals.ms))
    await this.#channel.write({ t: 'took', bitsPerS: this.#upBitsPerS, ms }, { signal })
    return await this.#next()
  }

  async #next(): Promise<TestAsk> {
    return (await this.#channel.read({ signal: this.#signal })).message
  }
}

function tooMuch(): PotluckError {
  return new PotluckError('PROTOCOL_BREACH', `a link test of more than ${testBytesMax} bytes`)
}

function unexpected({ t }: TestAsk): PotluckError {
  return new PotluckError('PROTOCOL_BREACH', `"${t}" is not what a link test expects here`)
}
