/** Real images without an engine: built here, byte by byte, and pushed to a registry. */
export { type Blob, blobOfBytes, blobOfJson, type Digest } from './blob.ts'
export { type DemoImageInit, demoImage, demoImagePort } from './demo-image.ts'
export {
  buildImage,
  buildIndex,
  type Image,
  type ImageConfig,
  type ImageIndex,
  type ImageInit,
  type Platform,
} from './image.ts'
export { type Layer, layerOfEntries, layerOfTar, randomLayer } from './layer.ts'
export { type ImageFormat, mediaTypes } from './media-types.ts'
export { PushError, type PushTarget, pushImage } from './push.ts'
export { smallImage, smallImagePort } from './small-image.ts'
export type { LargeData, TarEntry } from './tar.ts'
