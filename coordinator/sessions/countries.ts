/**
 * Which country a peer is in, from the address that we see it at and tables of prefixes: the
 * operator's own (geolocation data is licensed, so none comes with Potluck) and the network file's,
 * which knows private networks. The longest prefix decides. What a node says of itself is not asked.
 */
import { readFile } from 'node:fs/promises'
import { isIP, isIPv4 } from 'node:net'
import { ipv6Groups } from '../../protocol/address/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import { observedIp } from '../../protocol/network/index.ts'

/** ISO 3166-1 alpha-2 in lower case; undefined: unknown. */
export type CountryOf = (observedAddr: string) => string | undefined

/** One row: a CIDR prefix and a country, and where it stands for messages. */
export type CountryPrefix = Readonly<{ prefix: string; country: string; at: string }>

/** A table of prefixes that cannot be used. */
export class CountriesError extends PotluckError {
  constructor(at: string, problem: string, cause?: unknown) {
    super('COUNTRIES_INVALID', `${at}: ${problem}`, { cause, fields: { at } })
  }
}

/**
 * Two rows for one prefix: the later counts.
 * @throws {CountriesError} a row that is no prefix and country.
 */
export function createCountries(rows: Iterable<CountryPrefix>): CountryOf {
  const tables = { ipv4: new PrefixTable(), ipv6: new PrefixTable() }
  for (const { prefix, country, at } of rows) {
    const [address = '', length, ...rest] = prefix.split('/')
    const bits = bitsOf(address)
    const lengthMax = bits?.length ?? 0
    const valid = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= lengthMax)
    if (!bits || !valid || rest.length > 0) {
      throw new CountriesError(at, `'${prefix}' is no prefix; write CIDR, such as 203.0.113.0/24`)
    }
    if (!/^[a-z]{2}$/i.test(country)) {
      const valid = 'two letters of ISO 3166-1, such as de'
      throw new CountriesError(at, `'${country}' is no country; write ${valid}`)
    }
    const table = lengthMax === 32 ? tables.ipv4 : tables.ipv6
    table.set(bits.slice(0, Number(length ?? lengthMax)), country.toLowerCase())
  }
  return (observedAddr) => {
    const ip = observedIp(observedAddr)?.split('%', 1)[0]
    const bits = ip === undefined ? undefined : bitsOf(ip)
    return bits && (bits.length === 32 ? tables.ipv4 : tables.ipv6).find(bits)
  }
}

/** One look-up a length that occurs: a table of a million prefixes costs a hello no more. */
class PrefixTable {
  readonly #byLength = new Map<number, Map<string, string>>()
  #lengths: readonly number[] = []

  set(bits: string, country: string): void {
    let known = this.#byLength.get(bits.length)
    if (!known) {
      known = new Map()
      this.#byLength.set(bits.length, known)
      this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a)
    }
    known.set(bits, country)
  }

  find(bits: string): string | undefined {
    for (const length of this.#lengths) {
      const country = this.#byLength.get(length)?.get(bits.slice(0, length))
      if (country !== undefined) return country
    }
    return undefined
  }
}

/** An address as 32 or 128 characters of 0 and 1. */
function bitsOf(address: string): string | undefined {
  if (isIP(address) === 0) return undefined
  const [parts, width] = isIPv4(address)
    ? [address.split('.').map(Number), 8]
    : [ipv6Groups(address) ?? [], 16]
  return parts.map((part) => part.toString(2).padStart(width, '0')).join('')
}

/**
 * Reads the operator's table: `prefix,country` a line, `#` begins a comment.
 * @throws {CountriesError} the file cannot be read, or a line is no row.
 */
export async function readCountries(file: string): Promise<readonly CountryPrefix[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new CountriesError(file, 'cannot be read; check the path and its permissions', cause)
  }
  const rows: CountryPrefix[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [prefix = '', country, ...rest] = line.split(',').map((cell) => cell.trim())
    const at = `${file} line ${index + 1}`
    if (country === undefined || rest.length > 0) {
      throw new CountriesError(at, 'is not `prefix,country`, such as 203.0.113.0/24,de')
    }
    rows.push({ prefix, country, at })
  }
  return rows
}
