/** What goes wrong on the way from a reference to a cached bundle. Codes of caches pass through. */
import type { Fault } from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'

export class ImageFaultError extends PotluckError {
  /** The blob whose digest turned out wrong, if that was it. */
  readonly wrongBlob: string | undefined

  constructor({ code, message }: Fault, wrongBlob?: string) {
    super(code, message)
    this.wrongBlob = wrongBlob
  }
}

/** Only the tenant can mend these: no retry until the group changes. */
const finalCodes: ReadonlySet<string> = new Set([
  'ADDRESS_REFUSED',
  'FORBIDDEN',
  'IMAGE_NOT_FOUND',
  'IMAGE_TOO_LARGE',
  'MANIFEST_UNSUPPORTED',
  'PLATFORM_NOT_FOUND',
  'REFERENCE_INVALID',
  'REGISTRY_INSECURE',
  'UNAUTHORIZED',
])

export function isFinalFault(code: string): boolean {
  return finalCodes.has(code)
}
