/** The wire: schemas of small things, the codec, and framed channels over libp2p streams. */
export type { ByteStream } from './byte-stream.ts'
export {
  type Channel,
  type ChannelInit,
  openChannel,
  type WaitOptions,
  type WriteOptions,
} from './channel.ts'
export { type Codec, createCodec } from './codec.ts'
export {
  ChannelClosedError,
  MalformedMessageError,
  MessageTooLargeError,
  UnreadOverflowError,
} from './errors.ts'
export type { Pace } from './pace.ts'
export * from './types.ts'
