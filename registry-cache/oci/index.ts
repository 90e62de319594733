/** Images as their registries have them: found, checked and read as streams. */
export { digestOf } from './digest.ts'
export { ImageSourceError, type ImageSourceErrorCode } from './errors.ts'
export {
  type Credentials,
  createCredentials,
  type ImageSource,
  type ResolvedBlob,
  type ResolvedImage,
} from './image-source.ts'
export { checkImageConfig } from './manifest.ts'
export { LINUX_AMD64, type Platform } from './platform.ts'
export {
  createRegistryClient,
  type RegistryClientComponents,
  type RegistryClientInit,
} from './registry-client.ts'
export { createSimulatedSource } from './simulated-source.ts'
