/** One setting's value, from text (environment, flag) or from what TOML already typed. */
import { isAbsolute, join, resolve } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { Compile } from 'typebox/compile'
import { describeValid, type Setting, type SettingKind, type SettingSchema } from './fields.ts'
import { parseBitRate, parseByteSize, parseDurationMs } from './units.ts'

/** Where relative paths and `~` lead. */
export type Places = Readonly<{ folder: string; home: string }>

export type Parsed = Readonly<{ value: unknown }> | Readonly<{ problem: string }>

/** The value that the code gets, or what is wrong with `raw`. Never throws. */
export function parseValue(setting: Setting, raw: unknown, places: Places): Parsed {
  const { kind, schema } = setting
  if (kind === 'list') return parseList(setting, raw, places)
  const value = parseOne(kind, raw, places)
  if (value !== undefined && Compile(schema).Check(value)) return { value }
  return { problem: refuse(setting.secret, raw, describeValid(kind, schema)) }
}

function parseList(setting: Setting, raw: unknown, places: Places): Parsed {
  const { schema, itemKind = 'string' } = setting
  const items = Array.isArray(raw) ? raw : typeof raw === 'string' ? split(raw) : undefined
  if (!items) return { problem: refuse(setting.secret, raw, describeValid('list', schema)) }
  const itemSchema: SettingSchema = schema.items ?? schema
  const itemValidator = Compile(itemSchema)
  const values = items.map((item) => parseOne(itemKind, item, places))
  const bad = values.findIndex((value) => value === undefined || !itemValidator.Check(value))
  if (bad >= 0) {
    const valid = describeValid(itemKind, itemSchema)
    return { problem: `item ${bad + 1}: ${refuse(itemKind === 'secret', items[bad], valid)}` }
  }
  const first = Compile(schema).Errors(values)[0]
  return first ? { problem: `the list ${first.message}` } : { value: values }
}

function split(text: string): string[] {
  const items = text.split(',').map((item) => item.trim())
  return items.filter((item) => item !== '')
}

/** Undefined when `raw` is not of that kind; bounds are the schema's to check. */
function parseOne(kind: SettingKind, raw: unknown, places: Places): unknown {
  switch (kind) {
    case 'boolean':
      return parseBoolean(raw)
    case 'integer':
    case 'number':
    case 'port':
      return parseNumber(raw)
    case 'bytes':
      return typeof raw === 'string' ? parseByteSize(raw) : parseNumber(raw)
    case 'duration':
      // A bare number could be seconds or milliseconds, so it is neither.
      return typeof raw === 'string' ? parseDurationMs(raw) : undefined
    case 'rate':
      // A bare number could be bits, kilobits or bytes, so it is none.
      return typeof raw === 'string' ? parseBitRate(raw) : undefined
    case 'path':
      return typeof raw === 'string' && raw !== '' ? absolute(raw, places) : undefined
    case 'multiaddr':
      return typeof raw === 'string' && isMultiaddr(raw) ? raw : undefined
    case 'choice':
    case 'secret':
    case 'string':
      return typeof raw === 'string' ? raw : undefined
    case 'list':
      return undefined
  }
}

function parseBoolean(raw: unknown): boolean | undefined {
  if (typeof raw === 'boolean') return raw
  if (raw === 'true' || raw === '1' || raw === 'yes') return true
  return raw === 'false' || raw === '0' || raw === 'no' ? false : undefined
}

function parseNumber(raw: unknown): number | undefined {
  if (typeof raw === 'number') return raw
  const isNumber = typeof raw === 'string' && /^[+-]?\d{1,16}(?:\.\d{1,16})?$/.test(raw.trim())
  return isNumber ? Number(raw) : undefined
}

function absolute(path: string, { folder, home }: Places): string {
  if (path === '~' || path.startsWith('~/')) return join(home, path.slice(2))
  return isAbsolute(path) ? resolve(path) : resolve(folder, path)
}

function isMultiaddr(text: string): boolean {
  try {
    return multiaddr(text).getComponents().length > 0
  } catch {
    return false
  }
}

function refuse(secret: boolean, raw: unknown, valid: string): string {
  return `${secret ? 'its value' : show(raw)} is not valid; it must be ${valid}`
}

/** Short enough for one line; JSON escapes what would confuse a terminal. */
function show(raw: unknown): string {
  if (typeof raw === 'bigint') return raw.toString()
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return 'a table'
  const text = JSON.stringify(raw) ?? String(raw)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
