/** Control: messages between a peer and the coordinator, and the peer's end of the stream. */
export {
  type ControlHandlers,
  type ControlLink,
  type ControlLinkInit,
  ControlRefusedError,
  createControlLink,
} from './control-link.ts'
export { type CoordinatorTime, createCoordinatorTime } from './coordinator-time.ts'
export * from './down-messages.ts'
export * from './facts.ts'
export {
  CredentialsSchema,
  credentialsCodec,
  type ImageBlob,
  type IngestSecrets,
  IngestSecretsSchema,
  ingestSecretsCodec,
  type RegistryCredentials,
  type ResolvedManifest,
  ResolvedManifestSchema,
} from './image-messages.ts'
export * from './protocol.ts'
export {
  type SecurityEvidence,
  SecurityEvidenceSchema,
  type SecurityReport,
  SecurityReportSchema,
} from './security-messages.ts'
export * from './up-messages.ts'
