/** Webhooks: for now the keys that they will be signed by. */
export { openWebhookSecretKeys, type WebhookSecretKeys } from './secret-keys.ts'
