/**
 * Types of settings that JSON Schema has no word for. Each is a plain TypeBox schema of the value
 * that the code gets (milliseconds, bytes, an absolute path) with a `kind` beside it, which tells
 * the loader how people write it.
 */
import assert from 'node:assert/strict'
import Type, { type TInteger, type TString } from 'typebox'
import { parseBitRate, parseByteSize, parseDurationMs } from './units.ts'

export type SettingInit<V> = Readonly<{
  /** For `--help` and the docs: what it decides, not what it is. */
  description: string
  /** Without one the setting is required, unless wrapped in `Type.Optional`. */
  default?: V
}>

/**
 * A length of time: people write `15s`, `1h30m`; the code gets whole ms. Name it `…Ms`: the
 * suffix is left out of the name that people see. @param init default, min, max as text.
 */
export function duration(init: SettingInit<string> & { min?: string; max?: string }): TInteger {
  return Type.Integer({
    kind: 'duration',
    description: init.description,
    minimum: ms(init.min ?? '0s'),
    ...(init.max === undefined ? {} : { maximum: ms(init.max) }),
    ...(init.default === undefined ? {} : { default: ms(init.default) }),
  })
}

/**
 * A size: people write `50GB`, `64 KiB`; the code gets bytes. Name it `…Bytes`: the suffix is left
 * out of the name that people see. @param init default, min, max as text.
 */
export function byteSize(init: SettingInit<string> & { min?: string; max?: string }): TInteger {
  return Type.Integer({
    kind: 'bytes',
    description: init.description,
    minimum: bytes(init.min ?? '0'),
    ...(init.max === undefined ? {} : { maximum: bytes(init.max) }),
    ...(init.default === undefined ? {} : { default: bytes(init.default) }),
  })
}

/**
 * A line's speed: people write `10mbit`, `1.5gbit`, `unlimited`; the code gets bits a second. Name
 * it `…BitsPerS`: the suffix is left out of the name that people see. @param init default, min as text.
 */
export function bitRate(init: SettingInit<string> & { min?: string }): TInteger {
  return Type.Integer({
    kind: 'rate',
    description: init.description,
    minimum: rate(init.min ?? '1bit'),
    ...(init.default === undefined ? {} : { default: rate(init.default) }),
  })
}

/** A TCP port; 0 lets the system choose one. */
export function port(init: SettingInit<number>): TInteger {
  return Type.Integer({ ...init, kind: 'port', minimum: 0, maximum: 65_535 })
}

/** A libp2p address: `/ip4/203.0.113.7/tcp/4001`. */
export function multiaddr(init: SettingInit<string>): TString {
  return Type.String({ ...init, kind: 'multiaddr' })
}

/**
 * A file or folder; the code gets it absolute. `~/` is the user's home. Relative to the working
 * directory, in a config file to that file's folder.
 */
export function path(init: SettingInit<string>): TString {
  return Type.String({ ...init, kind: 'path', minLength: 1 })
}

/** A text that is never shown, in errors or `--help`. Best given by env or file: flags are public. */
export function secret(init: SettingInit<string> & { minLength?: number }): TString {
  return Type.String({ ...init, kind: 'secret', minLength: init.minLength ?? 1 })
}

function ms(text: string): number {
  const value = parseDurationMs(text)
  assert(value !== undefined, `${text} is not a duration`)
  return value
}

function rate(text: string): number {
  const value = parseBitRate(text)
  assert(value !== undefined, `${text} is not a bit rate`)
  return value
}

function bytes(text: string): number {
  const value = parseByteSize(text)
  assert(value !== undefined, `${text} is not a byte size`)
  return value
}
