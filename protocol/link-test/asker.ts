/** The node's side of a link test: asks round by round, and says what both sides saw. */
import type { Clock } from '../clock.ts'
import { PotluckError } from '../errors.ts'
import type { PeerId } from '../ids.ts'
import { dialPeer, type Mesh, type PeerAddress, peerIdOf } from '../mesh/index.ts'
import { type Channel, openChannel } from '../wire/index.ts'
import { Arrivals, nextRound } from './rounds.ts'
import {
  linkTestProtocol,
  pieceBytes,
  proofOf,
  type TestAnswer,
  type TestAsk,
  type TestRefusal,
  testAnswerCodec,
  testAskCodec,
  testChannel,
  testMs,
  tokenBytes,
} from './wire.ts'

/** Bits a second of a line as it is sold: payload and what packets add. */
export type LinkRate = Readonly<{ upBitsPerS: number; downBitsPerS: number }>

/** The cache makes no test with us now. */
export class LinkTestRefusedError extends PotluckError {
  readonly refusal: TestRefusal

  constructor(peer: PeerId, refusal: TestRefusal) {
    super('LINK_TEST_REFUSED', `${peer} makes no link test now: ${refusal}`)
    this.refusal = refusal
  }
}

export type LinkTestComponents = Readonly<{
  mesh: Mesh
  clock: Clock
  /** As the coordinator's welcome has it. */
  secret: Uint8Array
}>

type Talk = Readonly<{ channel: Channel<TestAnswer, TestAsk>; clock: Clock; signal: AbortSignal }>

/**
 * Measures the line between here and `cache`, both ways; 8 MB each way at most, 15 s at most.
 * Upload is what the cache saw; download the lower of what both saw.
 * @throws {LinkTestRefusedError} @throws {PeerUnreachableError} @throws {ChannelClosedError}
 */
export async function measureLink(
  cache: PeerAddress,
  { mesh, clock, secret }: LinkTestComponents,
  options: { readonly signal: AbortSignal },
): Promise<LinkRate> {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new Error('a link test took too long')), testMs)
  const signal = AbortSignal.any([options.signal, deadline.signal])
  try {
    const connection = await dialPeer(mesh, cache, { signal })
    const stream = await connection.newStream(linkTestProtocol, { signal })
    const channel = openChannel(stream, {
      inbound: testAnswerCodec,
      outbound: testAskCodec,
      ...testChannel,
    })
    try {
      const talk = { channel, clock, signal }
      await channel.write(
        { t: 'ask', proof: proofOf(secret, peerIdOf(mesh.peerId), cache.peer) },
        { signal },
      )
      const { message: first } = await channel.read({ signal })
      if (first.t === 'refused') throw new LinkTestRefusedError(cache.peer, first.code)
      const seen = await inRounds((bytes) => receive(talk, bytes))
      await inRounds((bytes) => send(talk, bytes))
      await channel.write({ t: 'done' }, { signal })
      const result = await answer(talk, 'result')
      await channel.close({ signal })
      const { upBitsPerS, downBitsPerS } = result
      return { upBitsPerS, downBitsPerS: Math.min(downBitsPerS, seen) }
    } catch (error) {
      channel.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    }
  } finally {
    clearTimeout(timer)
  }
}

type Round = Readonly<{ ms: number; bitsPerS: number }>

/** The rate of the last, longest round. */
async function inRounds(run: (bytes: number) => Promise<Round>): Promise<number> {
  let rate = 0
  let last: { bytes: number; ms: number } | undefined
  for (let bytes = nextRound(); bytes !== undefined; bytes = nextRound(last)) {
    const { ms, bitsPerS } = await run(bytes)
    rate = bitsPerS
    last = { bytes, ms }
  }
  return rate
}

async function receive({ channel, clock, signal }: Talk, bytes: number): Promise<Round> {
  const arrivals = new Arrivals(clock.nowMs())
  await channel.write({ t: 'send', bytes }, { signal })
  let token = new Uint8Array(0)
  for (let got = 0; got < bytes; ) {
    const { message, body } = await channel.read({ signal })
    if (message.t !== 'data' || body.length === 0) throw unexpected(message)
    got += body.length
    arrivals.add(body.length, clock.nowMs())
    token = body.slice(-tokenBytes)
  }
  await channel.write({ t: 'got', token }, { signal })
  return { ms: arrivals.ms, bitsPerS: arrivals.bitsPerS() }
}

async function send(talk: Talk, bytes: number): Promise<Round> {
  const { channel, signal } = talk
  await channel.write({ t: 'take', bytes }, { signal })
  for (let sent = 0; sent < bytes; sent += pieceBytes) {
    const body = new Uint8Array(Math.min(pieceBytes, bytes - sent))
    await channel.write({ t: 'data' }, { signal, body })
  }
  return await answer(talk, 'took')
}

async function answer<T extends TestAnswer['t']>(
  { channel, signal }: Talk,
  t: T,
): Promise<Extract<TestAnswer, { t: T }>> {
  const { message } = await channel.read({ signal })
  if (message.t !== t) throw unexpected(message)
  return message as Extract<TestAnswer, { t: T }>
}

function unexpected({ t }: TestAnswer): PotluckError {
  return new PotluckError('PROTOCOL_BREACH', `"${t}" is not what a link test expects here`)
}
