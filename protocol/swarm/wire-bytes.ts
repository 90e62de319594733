/**
 * What a payload weighs on the line. A limit that counted payload alone would be broken by a
 * twentieth: measured on shaped links, 20 Mbit/s carry 19.1 of payload (swarm.md 2.2).
 */

/** Ethernet 14, IPv4 20, TCP 20 and its timestamps 12; IPv6 has 20 more, VLANs and PPPoE some. */
const packetHeadBytes = 66
const packetPayloadBytes = 1448
/**
 * For each piece that is written: heads of message, yamux and Noise, and the packets that end early
 * for them. Measured with the counters of an interface (test/bandwidth).
 */
const pieceHeadBytes = 350
/** Acknowledgements that go the other way, as a share of what they acknowledge; measured. */
export const ackShare = 0.007

/** Bytes on the line for `payloadBytes` written in pieces of at most `pieceBytes`; 0 for nothing. */
export function wireBytes(payloadBytes: number, pieceBytes = Number.POSITIVE_INFINITY): number {
  if (payloadBytes <= 0) return 0
  const bytes = payloadBytes + Math.ceil(payloadBytes / pieceBytes) * pieceHeadBytes
  return bytes + Math.ceil(bytes / packetPayloadBytes) * packetHeadBytes
}
