/**
 * Noise, with lanes beside the muxer afterwards. The handshake is libp2p's own (`/noise`: XX, 25519,
 * ChaChaPoly, SHA-256); only what follows is cut otherwise (records.ts), so it has a name of its own,
 * and a peer that does not know that name is met by plain `/noise`.
 */
import { type ICryptoInterface, type NoiseComponents, noise } from '@chainsafe/libp2p-noise'
import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import type {
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  StreamMuxerFactory,
} from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { SecuredConnection, type TransportKeys } from './secured-connection.ts'

export const laneNoiseProtocol = '/potluck/noise-lanes/1'

/** Noise's longest message. */
const handshakeBytesMax = 65_535
/** Both ends hash it: a handshake for one protocol is none for the other. */
const prologueBytes = new TextEncoder().encode(laneNoiseProtocol)

/** Noise's handshake, which libp2p's Noise does not show. */
type Inside = {
  performHandshakeInitiator: Handshake
  performHandshakeResponder: Handshake
  getStreamMuxer(protocols: readonly string[] | undefined): StreamMuxerFactory | undefined
}
type Handshake = (
  connection: ReturnType<typeof lpStream>,
  privateKey: NoiseComponents['privateKey'],
  log: MessageStream['log'],
  remoteKey: unknown,
  options?: SecureConnectionOptions,
) => Promise<
  TransportKeys & {
    readonly payload: {
      readonly identityKey: Uint8Array
      readonly extensions?: { readonly streamMuxers?: readonly string[] }
    }
  }
>

const lengthEncoder = Object.assign((value: number) => Uint8Array.of(value >> 8, value & 0xff), {
  bytes: 2,
})
const lengthDecoder = Object.assign(
  (bytes: Uint8Array | Uint8ArrayList) => {
    const [high = 0, low = 0] = bytes.subarray(0, 2)
    return (high << 8) | low
  },
  { bytes: 2 },
)

/** For a host's connections, before plain Noise. */
export function laneNoise(crypto: ICryptoInterface) {
  return (components: NoiseComponents): ConnectionEncrypter => {
    const inside = noise({ crypto, prologueBytes })(components) as unknown as Inside
    const secure = async (
      handshake: Handshake,
      connection: MessageStream,
      options?: SecureConnectionOptions,
    ) => {
      const framedBytes = lpStream(connection, {
        ...{ lengthEncoder, lengthDecoder, maxDataLength: handshakeBytesMax },
      })
      const { privateKey } = components
      const known = options?.remotePeer?.publicKey
      const done = await handshake(framedBytes, privateKey, connection.log, known, options)
      const { identityKey, extensions } = done.payload
      const skips = options?.skipStreamMuxerNegotiation === true
      const streamMuxer = skips ? undefined : inside.getStreamMuxer(extensions?.streamMuxers)
      return {
        connection: new SecuredConnection(framedBytes.unwrap(), done),
        remotePeer: peerIdFromPublicKey(publicKeyFromProtobuf(identityKey)),
        ...(streamMuxer ? { streamMuxer } : {}),
      }
    }
    return {
      protocol: laneNoiseProtocol,
      secureOutbound: (connection, options) =>
        secure(inside.performHandshakeInitiator.bind(inside), connection, options),
      secureInbound: (connection, options) =>
        secure(inside.performHandshakeResponder.bind(inside), connection, options),
    }
  }
}
