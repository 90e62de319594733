/**
 * From what went wrong to what a tenant may read: a stable code and a sentence without secrets. What
 * is not a known fault is a matter for the cache's own log, not for tenants.
 */
import type { Fault } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import { redacted, safeText } from '../../protocol/log/index.ts'
import type { Credentials } from '../oci/index.ts'

const codeForm = /^[A-Z][A-Z0-9_]{1,63}$/
const messageMax = 2_000
/** Faults of the cache's own disk: a path of its operator's is nothing to a tenant. */
const ownCodes: readonly string[] = ['STORE_DISK', 'STORE_CLOSED']

/** @param credentials what the pull had; should a message hold one of them, it is taken out */
export function faultOf(error: unknown, credentials?: Credentials): Fault {
  const isKnown =
    error instanceof PotluckError && codeForm.test(error.code) && !ownCodes.includes(error.code)
  if (!isKnown) {
    const message = 'the cache could not do its work; its log says why. It may be asked again'
    return { code: 'CACHE_FAILED', message }
  }
  let message = safeText(error.message)
  // Nothing puts them there. Should that ever change, they still go no further.
  for (const secret of [credentials?.password, credentials?.username]) {
    if (secret !== undefined && secret.length >= 4) message = message.replaceAll(secret, redacted)
  }
  return { code: error.code, message: message.slice(0, messageMax) }
}

/** Whether the fault is the cache's, so that its operator must hear of it. */
export function isOwnFault({ code }: Fault): boolean {
  return code === 'CACHE_FAILED'
}
