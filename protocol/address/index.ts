/** Where one may connect on a tenant's word: the one way to reach an address that a tenant names. */
export {
  type AddressClass,
  classifyAddress,
  embeddedIpv4,
  ipv6Groups,
} from './address-class.ts'
export {
  type AddressPolicy,
  type AddressPolicyInit,
  type AddressRanges,
  createAddressPolicy,
  parseAddressRanges,
} from './address-policy.ts'
export {
  AddressRangeError,
  AddressRefusedError,
  AddressUnresolvedError,
  AddressUrlError,
} from './errors.ts'
export {
  createGuardedDispatcher,
  type GuardedDispatcherComponents,
  type GuardedDispatcherInit,
  type Resolve,
  resolveBySystem,
} from './guarded-dispatcher.ts'
export { checkTenantHost, checkTenantUrl } from './tenant-url.ts'
