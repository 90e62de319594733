/** Signatures: the one place where Potluck signs and verifies. */
export {
  assertSignedBy,
  BadSignatureError,
  createSigner,
  isSignedBy,
  type SignedKind,
  type Signer,
} from './signing.ts'
