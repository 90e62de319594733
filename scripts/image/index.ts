/** Real images without an engine: built here, byte by byte, and pushed to a registry. */
export { demoImage } from './demo-image.ts'
export { buildImage, buildIndex, type Image, type ImageIndex } from './image.ts'
export { type Layer, layerOfEntries, randomLayer } from './layer.ts'
export { type PushTarget, pushImage } from './push.ts'
export { smallImage } from './small-image.ts'
