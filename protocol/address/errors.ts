/** Faults of an address that someone else named; each says which setting would allow it. */
import { PotluckError } from '../errors.ts'
import type { AddressClass } from './address-class.ts'

/** `ADDRESS_REFUSED`: a host leads to an address that the operator did not allow. */
export class AddressRefusedError extends PotluckError {
  constructor(host: string, address: string, addressClass: AddressClass, setting: string) {
    const range = `${address}/${address.includes(':') ? 128 : 32}`
    const where = host === address ? `${address} is` : `${host} is at ${address},`
    super(
      'ADDRESS_REFUSED',
      `${where} a ${addressClass} address: only public ones are connected to. Name a public host, or ` +
        `have the operator add '${range}' (or a wider range) to ${setting}`,
      { fields: { host, address, addressClass, setting } },
    )
  }
}

/** `ADDRESS_UNRESOLVED`: the resolver gave no address for a name. */
export class AddressUnresolvedError extends PotluckError {
  constructor(host: string) {
    super(
      'ADDRESS_UNRESOLVED',
      `${host} has no address: the name does not resolve. Check how it is spelled`,
      { fields: { host } },
    )
  }
}

/** `ADDRESS_URL_INVALID`: no URL that may be connected to. Never repeats it: it may hold a token. */
export class AddressUrlError extends PotluckError {
  constructor(problem: string) {
    super('ADDRESS_URL_INVALID', problem)
  }
}

/** `ADDRESS_RANGE_INVALID`: an operator's range is no CIDR. */
export class AddressRangeError extends PotluckError {
  constructor(range: string, setting: string, cause?: unknown) {
    super(
      'ADDRESS_RANGE_INVALID',
      `${setting}: '${range}' is no address range; write CIDR, such as '127.0.0.0/8' or 'fd00::/8'`,
      { fields: { range, setting }, cause },
    )
  }
}
