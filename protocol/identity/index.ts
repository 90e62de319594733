/** Identities: seeds, peer ids, and the way between them. */
export {
  type Identity,
  identityFromSeed,
  KeyFileError,
  loadOrCreateSeed,
  loadSeed,
  peerIdOfPublicKey,
  publicKeyOfPeerId,
  writeSeed,
} from './identity.ts'
export { machineIdOf } from './machine-id.ts'
