/** Images: from a group's reference to a bundle in a cache. */
export { type BlobKeys, openBlobKeys } from './blob-keys.ts'
export { type CacheDesk, createCacheDesk, type Ingested } from './cache-desk.ts'
export { ImageFaultError } from './errors.ts'
export { type ImageManifest, type Images, type ImagesComponents, openImages } from './images.ts'
export type { BundleRecord, GroupImage } from './records.ts'
