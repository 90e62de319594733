/** Asks one peer for the newest pulse that it knows. */
import type { Connection } from '@libp2p/interface'
import { openChannel } from '../wire/index.ts'
import {
  type PulseAnswer,
  pulseAnswerCodec,
  pulseAskCodec,
  pulseLimits,
  pulseProtocol,
} from './pulse-wire.ts'

/** What it says is not verified yet. @throws when it does not answer, or not in this protocol. */
export async function askPulse(
  connection: Connection,
  { signal }: { readonly signal: AbortSignal },
): Promise<PulseAnswer> {
  const stream = await connection.newStream(pulseProtocol, { signal, runOnLimitedConnection: true })
  const channel = openChannel(stream, {
    ...{ inbound: pulseAnswerCodec, outbound: pulseAskCodec, ...pulseLimits },
  })
  try {
    await channel.write({ v: 1 }, { signal })
    const { message } = await channel.read({ signal })
    await channel.close({ signal })
    return message
  } catch (error) {
    channel.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}
