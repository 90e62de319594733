/**
 * Whether a request was meant for us. A web page may let its own name point at 127.0.0.1 and read
 * what is served there (DNS rebinding); the name then stands in the Host header, because a browser
 * writes there what it looked up. An address was not looked up, so it is always ours.
 */
import { isIP } from 'node:net'

/**
 * True for addresses, `localhost` and the names given.
 * @param header `Host` as it came
 * @param names further names of this machine, in any case
 */
export function isOwnHost(header: string | undefined, names: readonly string[]): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/.exec(header ?? '') ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6
  if (plain === undefined) return false
  const name = plain.toLowerCase()
  return isIP(name) === 4 || ['localhost', ...names.map((it) => it.toLowerCase())].includes(name)
}
