/**
 * The asker's side of a dial-back: one question on one connection, and a verdict that is believed
 * only if the asked one signed it, about us, in answer to this question.
 */
import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { publicKeyOfPeerId } from '../identity/index.ts'
import type { PeerId } from '../ids.ts'
import { peerIdOf } from '../mesh/index.ts'
import { assertSignedBy } from '../signing/index.ts'
import { openChannel, type Signed } from '../wire/index.ts'
import {
  dialBackAnswerCodec,
  dialBackAskCodec,
  dialBackLimits,
  dialBackProtocol,
  portsMax,
  type Verdict,
  verdictCodec,
} from './dial-back-wire.ts'
import { DialBackError } from './errors.ts'

export type SignedVerdict = Readonly<{ verdict: Verdict; signed: Signed }>

/**
 * Reads a verdict.
 * @throws {BadSignatureError} it is not by whom it says. @throws {MalformedMessageError}
 */
export function openVerdict(signed: Signed): Verdict {
  const verdict = verdictCodec.decode(signed.payload)
  assertSignedBy('reach', signed, publicKeyOfPeerId(verdict.by))
  return verdict
}

/**
 * Asks the peer at the other end whether `ports` of our address answer.
 * @throws {DialBackError} it refuses, or its verdict is not an answer to this.
 */
export async function askDialBack(
  connection: Connection,
  { self, ports }: Readonly<{ self: PeerId; ports: readonly number[] }>,
  { signal }: { readonly signal: AbortSignal },
): Promise<SignedVerdict> {
  const by = peerIdOf(connection.remotePeer)
  const nonce = new Uint8Array(randomBytes(16))
  const stream = await connection.newStream(dialBackProtocol, { signal })
  const channel = openChannel(stream, {
    ...{ inbound: dialBackAnswerCodec, outbound: dialBackAskCodec, ...dialBackLimits },
  })
  try {
    await channel.write({ ports: ports.slice(0, portsMax), nonce }, { signal })
    const { message } = await channel.read({ signal })
    const { verdict: signed, refused } = message
    if (!signed) throw new DialBackError(by, refused ?? 'it gave no reason')
    const verdict = openVerdict(signed)
    const isAnswer = Buffer.compare(verdict.nonce, nonce) === 0 && verdict.peer === self
    if (verdict.by !== by || !isAnswer) throw new DialBackError(by, 'its verdict is of another')
    return { verdict, signed }
  } finally {
    await channel.close({ signal }).catch((error: Error) => channel.abort(error))
  }
}
