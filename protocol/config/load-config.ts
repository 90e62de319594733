/**
 * The configuration of a process, merged from its schema's defaults, a TOML file, the environment
 * and flags, later ones first. All problems are told at once, each with its source: whoever starts a
 * process for the first time should not have to start it ten times.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import type { Static, TObject } from 'typebox'
import { describeError } from '../errors.ts'
import { ConfigError, type ConfigProblem } from './errors.ts'
import { type ConfigNames, describeValid, envStart, type Setting, settingsOf } from './fields.ts'
import { parseValue } from './parse-value.ts'
import { suggest } from './suggest.ts'

export type LoadConfigInit<S extends TObject> = ConfigNames &
  Readonly<{
    /** Settings, and sections of settings to any depth; each setting has a description. */
    schema: S
    /** A TOML file with `snake_case` keys. Named but missing: a problem. */
    file?: string | undefined
    /** `process.env`. An empty variable counts as unset. */
    env: Readonly<Record<string, string | undefined>>
    /** By flag name without dashes, as `configFlags` reads them from the command line. */
    flags: Readonly<Record<string, unknown>>
    /** Environment variables of this prefix that are not settings (`POTLUCK_NODE_CONFIG`). */
    ignoreEnv?: readonly string[]
    /** How settings must relate; run once each alone is valid. */
    check?: (config: Static<S>) => readonly ConfigProblem[]
  }>

type Given = Readonly<{ raw: unknown; source: string; folder: string }>

/** The valid configuration. @throws {ConfigError} with all problems; nothing else. */
export function loadConfig<S extends TObject>(init: LoadConfigInit<S>): Static<S> {
  const settings = settingsOf(init.schema, init)
  const problems: ConfigProblem[] = []
  const given = new Map<Setting, Given>([
    ...fromFile(init.file, settings, problems),
    ...fromEnv(init, settings, problems),
    ...fromFlags(init.flags, settings, problems),
  ])
  const config: Record<string, unknown> = {}
  const home = init.env.HOME || homedir()
  for (const setting of settings) {
    const from = given.get(setting) ?? defaultOf(setting)
    if (from) {
      const parsed = parseValue(setting, from.raw, { folder: from.folder, home })
      if ('value' in parsed) place(config, setting.path, parsed.value)
      else problems.push({ key: setting.key, source: from.source, message: parsed.problem })
    } else if (isMissing(setting, given)) {
      problems.push({ key: setting.key, message: missing(setting) })
    } else if (setting.optionalSection === undefined) {
      openSection(config, setting.path)
    }
  }
  dropEmptySections(config, settings, given)
  if (problems.length === 0) problems.push(...(init.check?.(config as Static<S>) ?? []))
  if (problems.length > 0) throw new ConfigError(init.name, problems)
  return config as Static<S>
}

function defaultOf({ schema, kind }: Setting): Given | undefined {
  const raw = schema.default
  if (raw === undefined) return undefined
  // Already in ms; the parser wants a unit.
  const text = kind === 'duration' ? `${Number(raw)}ms` : raw
  return { raw: text, source: 'default', folder: process.cwd() }
}

function isMissing(setting: Setting, given: ReadonlyMap<Setting, Given>): boolean {
  if (!setting.required) return false
  return setting.optionalSection === undefined || isSet(setting.optionalSection, given)
}

function isSet(section: string, given: ReadonlyMap<Setting, Given>): boolean {
  return given.keys().some(({ key }) => key.startsWith(`${section}.`))
}

function missing({ kind, schema, flag, env, key }: Setting): string {
  const valid = describeValid(kind, schema)
  return `it is required; set --${flag}, ${env}, or ${key} in the config file, to ${valid}`
}

function place(config: Record<string, unknown>, path: readonly string[], value: unknown): void {
  openSection(config, path)[path.at(-1) ?? ''] = value
}

/** The section that holds `path`; a section of which nothing is set is there too, and empty. */
function openSection(
  config: Record<string, unknown>,
  path: readonly string[],
): Record<string, unknown> {
  let at = config
  for (const name of path.slice(0, -1)) {
    at[name] ??= {}
    at = at[name] as Record<string, unknown>
  }
  return at
}

/** An optional section that needs something and got nothing is absent, not half there. */
function dropEmptySections(
  config: Record<string, unknown>,
  settings: readonly Setting[],
  given: ReadonlyMap<Setting, Given>,
): void {
  for (const { optionalSection, required, path } of settings) {
    if (!required || optionalSection === undefined || isSet(optionalSection, given)) continue
    const depth = optionalSection.split('.').length
    const parent = path
      .slice(0, depth - 1)
      .reduce<Record<string, unknown> | undefined>(
        (at, name) => at?.[name] as Record<string, unknown> | undefined,
        config,
      )
    if (parent) delete parent[path[depth - 1] ?? '']
  }
}

function fromFile(
  file: string | undefined,
  settings: readonly Setting[],
  problems: ConfigProblem[],
): readonly [Setting, Given][] {
  if (file === undefined) return []
  const path = resolve(file)
  const source = `file ${path}`
  const out: [Setting, Given][] = []
  const visit = (table: object, words: readonly string[]): void => {
    for (const [word, raw] of Object.entries(table)) {
      const key = [...words, word].join('.')
      const setting = settings.find((item) => item.key === key)
      const isSection = settings.some((item) => item.key.startsWith(`${key}.`))
      if (setting) out.push([setting, { raw, source, folder: dirname(path) }])
      else if (!isSection) problems.push({ key, source, message: unknown(key, settings, 'key') })
      else if (isTable(raw)) visit(raw, [...words, word])
      else
        problems.push({
          key,
          source,
          message: `it is a section: write [${key}] and its keys below`,
        })
    }
  }
  try {
    visit(parse(readFileSync(path, 'utf8')), [])
  } catch (error) {
    problems.push({ key: 'the file', source, message: fileProblem(error) })
  }
  return out
}

/** Without the lines that the parser quotes: they may hold a secret. */
function fileProblem(error: unknown): string {
  if (!(error instanceof TomlError)) return `cannot be read: ${describeError(error)}`
  const what = error.message.split('\n', 1)[0]?.replace(/^Invalid TOML document: /, '')
  return `line ${error.line}, column ${error.column} is not valid TOML: ${what}`
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fromEnv(
  {
    env,
    ignoreEnv = [],
    ...names
  }: ConfigNames & Pick<LoadConfigInit<TObject>, 'env' | 'ignoreEnv'>,
  settings: readonly Setting[],
  problems: ConfigProblem[],
): readonly [Setting, Given][] {
  const start = envStart(names)
  const out: [Setting, Given][] = []
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith(start) || ignoreEnv.includes(name) || !raw) continue
    const source = `env ${name}`
    const setting = settings.find((item) => item.env === name)
    if (setting) out.push([setting, { raw, source, folder: process.cwd() }])
    else problems.push({ key: name, source, message: unknown(name, settings, 'env') })
  }
  return out
}

function fromFlags(
  flags: Readonly<Record<string, unknown>>,
  settings: readonly Setting[],
  problems: ConfigProblem[],
): readonly [Setting, Given][] {
  const out: [Setting, Given][] = []
  for (const [flag, raw] of Object.entries(flags)) {
    if (raw === undefined) continue
    const source = `flag --${flag}`
    const setting = settings.find((item) => item.flag === flag)
    if (setting) out.push([setting, { raw, source, folder: process.cwd() }])
    else problems.push({ key: flag, source, message: unknown(flag, settings, 'flag') })
  }
  return out
}

function unknown(name: string, settings: readonly Setting[], by: 'key' | 'env' | 'flag'): string {
  const known = settings.map((setting) => setting[by])
  const near = suggest(name, known)
  if (near) return `there is no such setting; did you mean ${near}?`
  return `there is no such setting; remove it, or see --help for all that there are`
}
