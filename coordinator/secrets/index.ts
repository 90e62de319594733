/** Secrets at rest: sealed with keys that lie outside the database. */
export { SecretUnreadableError } from './errors.ts'
export { createKeyFile, type SecretKey, writeNewFile } from './key-file.ts'
export {
  createSealer,
  type OpenSealerInit,
  openSealer,
  type Sealer,
  type SecretPlace,
} from './sealer.ts'
