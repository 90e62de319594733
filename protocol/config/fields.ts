/**
 * A schema as a flat list of settings, each with its name in a file, in the environment and as a
 * flag. One place makes the names, so that help, errors and loading cannot disagree.
 */
import assert from 'node:assert/strict'
import type { TObject, TSchema } from 'typebox'
import { formatBitRate, formatByteSize, formatDuration } from './units.ts'

/** The parts of JSON Schema that a setting may use. */
export type SettingSchema = TSchema &
  Readonly<{
    type?: string
    kind?: string
    description?: string
    default?: unknown
    minimum?: number
    maximum?: number
    pattern?: string
    minLength?: number
    items?: SettingSchema
    anyOf?: readonly Readonly<{ const?: unknown }>[]
    const?: unknown
    properties?: Readonly<Record<string, SettingSchema>>
    required?: readonly string[]
  }>

export const settingKinds = [
  ...(['bytes', 'choice', 'duration', 'multiaddr', 'path', 'port', 'rate', 'secret'] as const),
  ...(['boolean', 'integer', 'list', 'number', 'string'] as const),
] as const
export type SettingKind = (typeof settingKinds)[number]

export type Setting = Readonly<{
  /** Where the code finds it: `['api', 'leaseMs']`. */
  path: readonly string[]
  /** In a file: `api.lease`. */
  key: string
  /** `POTLUCK_NODE_API_LEASE`. */
  env: string
  /** Without dashes: `api-lease`. */
  flag: string
  kind: SettingKind
  /** Of a list's items. */
  itemKind?: SettingKind
  schema: SettingSchema
  required: boolean
  /** The optional section that it is in; required there only if something of it is set. */
  optionalSection?: string
  secret: boolean
}>

export type ConfigNames = Readonly<{
  /** The process: `node`, `coordinator`. */
  name: string
  /** Default `POTLUCK_`; the process's name follows. */
  envPrefix?: string
}>

/** What all environment variables of the process begin with: `POTLUCK_NODE_`. */
export function envStart({ name, envPrefix = 'POTLUCK_' }: ConfigNames): string {
  return `${envPrefix}${name.replaceAll('-', '_').toUpperCase()}_`
}

/** The settings of `schema`, in its order. Asserts that each is described and named apart. */
export function settingsOf(schema: TObject, names: ConfigNames): readonly Setting[] {
  const settings = [...walk(schema as unknown as SettingSchema, [], [], envStart(names), undefined)]
  for (const name of ['env', 'flag', 'key'] as const) {
    const all = settings.map((setting) => setting[name])
    const twice = all.find((value, index) => all.indexOf(value) !== index)
    assert(twice === undefined, `two settings of ${names.name} are named ${twice}`)
  }
  return settings
}

function* walk(
  schema: SettingSchema,
  path: readonly string[],
  words: readonly string[],
  start: string,
  optionalSection: string | undefined,
): Generator<Setting> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const here = [...path, name]
    const required = schema.required?.includes(name) ?? false
    if (property.type === 'object') {
      const key = [...words, snake(name)].join('.')
      const optional = required ? optionalSection : key
      yield* walk(property, here, [...words, snake(name)], start, optional)
      continue
    }
    const kind = kindOf(property, here)
    const shown = [...words, snake(nameShown(name, kind))]
    assert(property.description, `setting ${here.join('.')} has no description`)
    yield {
      path: here,
      key: shown.join('.'),
      env: start + shown.join('_').toUpperCase(),
      flag: shown.join('-').replaceAll('_', '-'),
      kind,
      ...(property.items ? { itemKind: kindOf(property.items, here) } : {}),
      schema: property,
      required: required && property.default === undefined,
      ...(optionalSection === undefined ? {} : { optionalSection }),
      secret: kind === 'secret',
    }
  }
}

function kindOf(schema: SettingSchema, path: readonly string[]): SettingKind {
  const choices = choicesOf(schema)
  if (choices) return 'choice'
  const name = schema.kind ?? (schema.type === 'array' ? 'list' : schema.type)
  const kind = settingKinds.find((known) => known === name)
  assert(kind, `setting ${path.join('.')} is of a type that has no textual form: ${name}`)
  return kind
}

/** The texts of a union of literals, or of one literal; undefined for any other schema. */
export function choicesOf({ anyOf, const: only }: SettingSchema): readonly string[] | undefined {
  const values = anyOf ? anyOf.map((item) => item.const) : [only]
  return values.every((value) => typeof value === 'string') ? values : undefined
}

/** What is valid, as the end of "it must be …". */
export function describeValid(kind: SettingKind, schema: SettingSchema): string {
  const { minimum, maximum, pattern } = schema
  const format = (value: number): string => {
    if (kind === 'duration') return formatDuration(value)
    if (kind === 'rate') return formatBitRate(value)
    return kind === 'bytes' ? formatByteSize(value) : String(value)
  }
  const least = minimum ? `, at least ${format(minimum)}` : ''
  const bounds = least + (maximum === undefined ? '' : `, at most ${format(maximum)}`)
  const numbers = minimum === 0 && maximum === undefined ? ', 0 or more' : bounds
  const forms: Record<SettingKind, string> = {
    boolean: 'true or false',
    bytes: `a size such as 64KiB or 50GB${bounds}`,
    choice: `one of ${(choicesOf(schema) ?? []).join(', ')}`,
    duration: `a duration such as 500ms, 15s or 1h30m${bounds}`,
    integer: `a whole number${numbers}`,
    list: 'a list (in the environment: separated by commas; as a flag: repeated)',
    multiaddr: 'a multiaddr such as /ip4/203.0.113.7/tcp/4001',
    number: `a number${numbers}`,
    path: 'the path of a file or folder',
    port: 'a port from 0 to 65535',
    rate: `bits a second with their unit, such as 800kbit, 10mbit or 1gbit, or unlimited (8mbit is 1 MB a second)${bounds}`,
    secret: `a text${schema.minLength ? ` of ${schema.minLength} characters or more` : ''}`,
    string: `a text${schema.minLength ? ` of ${schema.minLength} characters or more` : ''}${
      pattern ? ` that matches ${pattern}` : ''
    }`,
  }
  return forms[kind]
}

/** The value as people write it, for `--help`. */
export function showValue(kind: SettingKind, value: unknown): string {
  if (kind === 'duration' && typeof value === 'number') return formatDuration(value)
  if (kind === 'bytes' && typeof value === 'number') return formatByteSize(value)
  if (kind === 'rate' && typeof value === 'number') return formatBitRate(value)
  if (Array.isArray(value)) return value.join(',') || 'none'
  return String(value)
}

function nameShown(name: string, kind: SettingKind): string {
  if (kind === 'duration') return name.replace(/Ms$/, '')
  if (kind === 'rate') return name.replace(/BitsPerS$/, '')
  return kind === 'bytes' ? name.replace(/Bytes$/, '') : name
}

/** `maxUploadMbps` → `max_upload_mbps`. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
