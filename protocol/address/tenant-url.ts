/**
 * A URL that a tenant names (a webhook), judged by what it says: its scheme, and its host where that
 * is an address. What a name leads to is judged when it is connected to, by the guarded dispatcher;
 * this is for telling the tenant at once what can never work.
 */
import { isIP } from 'node:net'
import type { AddressPolicy } from './address-policy.ts'
import { AddressUrlError } from './errors.ts'

const schemes = ['https:', 'http:']

/**
 * Returns the URL if a tenant may name it.
 *
 * @throws {AddressUrlError} it is no URL of http or https, or holds a user or a password.
 * @throws {AddressRefusedError} its host is an address that may not be connected to.
 */
export function checkTenantUrl(text: string, policy: AddressPolicy): URL {
  const url = URL.parse(text)
  if (!url || !schemes.includes(url.protocol) || url.hostname === '') {
    throw new AddressUrlError('must be a URL that begins with https:// or http://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new AddressUrlError('must not hold a user name or a password')
  }
  checkHostname(url.hostname, policy)
  return url
}

/**
 * Returns if a tenant may name this host (of a log sink): a name, an address, or a URL.
 *
 * @throws {AddressUrlError} it is none of these.
 * @throws {AddressRefusedError} it is an address that may not be connected to.
 */
export function checkTenantHost(text: string, policy: AddressPolicy): void {
  if (text.includes('://')) {
    checkTenantUrl(text, policy)
    return
  }
  const bare = isIP(text) === 6 ? `[${text}]` : text
  const url = URL.parse(`http://${bare}`)
  if (url?.username !== '' || url.password !== '') {
    throw new AddressUrlError('must be a host name, an address, or a URL of http or https')
  }
  checkHostname(url.hostname, policy)
}

function checkHostname(hostname: string, policy: AddressPolicy): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  // RFC 6761, section 6.3: such names are always the machine itself.
  if (/(^|\.)localhost\.?$/.test(host)) policy.check(host, '127.0.0.1')
  else if (isIP(host) !== 0) policy.check(host, host)
}
