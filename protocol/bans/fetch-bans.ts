/** Asks one peer for a newer ban list. What comes is as signed, and not verified yet. */
import type { PeerId } from '../ids.ts'
import { type Mesh, toLibp2pPeerId } from '../mesh/index.ts'
import { openChannel, type Signed } from '../wire/index.ts'
import { bansAnswerCodec, bansAnswerLimits, bansAskCodec, bansProtocol } from './wire.ts'

/**
 * The peer's ban list if it has a newer one than number `have`. Dials if need be.
 * @throws when the peer cannot be reached, hangs up, or breaks the protocol.
 */
export async function fetchBans(
  { peer, have }: { readonly peer: PeerId; readonly have: number | undefined },
  { mesh, signal }: { readonly mesh: Mesh; readonly signal: AbortSignal },
): Promise<Signed | undefined> {
  const stream = await mesh.dialProtocol(toLibp2pPeerId(peer), bansProtocol, {
    signal,
    runOnLimitedConnection: true,
  })
  const channel = openChannel(stream, {
    inbound: bansAnswerCodec,
    outbound: bansAskCodec,
    ...bansAnswerLimits,
  })
  try {
    await channel.write(have === undefined ? {} : { have }, { signal })
    const { message } = await channel.read({ signal })
    await channel.close({ signal })
    return message.bans
  } catch (error) {
    channel.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}
