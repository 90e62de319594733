/** Sealing: boxes to one-time keys, and the ring that holds their private halves. */
export {
  BadRecipientKeyError,
  drawKeyPair,
  type Sealed,
  SealedSchema,
  seal,
  UnsealError,
  unseal,
} from './box.ts'
export { createKeyRing, type KeyRing } from './key-ring.ts'
