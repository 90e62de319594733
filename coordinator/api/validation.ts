/**
 * Request validation with errors for people: the field, what is valid, what came. Values of fields
 * that hold secrets are never repeated, since an error travels further than a request (a client's
 * log, a ticket).
 */

import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { RequestInvalidError } from './errors.ts'

/** As many fields as one answer names. */
const problemsMax = 20

type ValidationError = Readonly<{
  keyword: string
  schemaPath: string
  instancePath: string
  params: Readonly<Record<string, unknown>>
  message: string
}>

type Bound = number | undefined
/** What is read of a JSON schema here. */
type AnySchema = Readonly<Record<string, unknown>> &
  Readonly<{
    type?: string | readonly string[]
    minimum?: Bound
    maximum?: Bound
    minLength?: Bound
    maxLength?: Bound
    minItems?: Bound
    maxItems?: Bound
  }>

/** Collects what is wrong with a request; its own order, each field's first problem first. */
export class ProblemList {
  readonly #problems: Record<string, string[]> = Object.create(null)
  #count = 0

  add(field: string, problem: string): void {
    if (this.#count++ >= problemsMax) return
    const texts = this.#problems[field.slice(0, 300)] ?? []
    this.#problems[field.slice(0, 300)] = [...texts, problem.slice(0, 500)]
  }

  /** @throws {RequestInvalidError} when anything was added. */
  throwIfAny(): void {
    if (this.#count > 0) throw new RequestInvalidError({ ...this.#problems })
  }
}

/** Returns when `value` fits. @throws {RequestInvalidError} */
export type Check = (value: unknown) => void

export function createCheck(schema: TSchema): Check {
  const validator = Compile(schema)
  return (value) => {
    if (validator.Check(value)) return
    const problems = new ProblemList()
    for (const error of validator.Errors(value) as readonly ValidationError[]) {
      for (const [field, text] of explain(error, schema as unknown as AnySchema, value)) {
        problems.add(field, text)
      }
    }
    problems.throwIfAny()
    throw new RequestInvalidError({ body: ['it is not valid'] })
  }
}

/** Numbers of a query string, which are texts there; what is no number stays, to be refused. */
export function queryReader(schema: TSchema): (query: unknown) => unknown {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, AnySchema>> }
  return (query) =>
    Object.fromEntries(
      Object.entries(query as Readonly<Record<string, unknown>>).map(([name, text]) => {
        const isNumber = properties[name]?.type === 'integer' && /^-?\d{1,15}$/.test(String(text))
        return [name, isNumber && typeof text === 'string' ? Number(text) : text]
      }),
    )
}

function* explain(
  { keyword, schemaPath, instancePath, params, message }: ValidationError,
  root: AnySchema,
  value: unknown,
): Generator<readonly [field: string, text: string]> {
  const schema = at(root, schemaPath.replace(/^#/, '')) as AnySchema | undefined
  const field = fieldName(instancePath)
  if (keyword === 'boolean') return // Said better by additionalProperties.
  if (keyword === 'required') {
    for (const name of listOf(params.requiredProperties)) yield [join(field, name), 'is required']
    return
  }
  if (keyword === 'additionalProperties') {
    const known = Object.keys((schema?.properties as object | undefined) ?? {})
    for (const name of listOf(params.additionalProperties)) {
      yield [join(field, name), `is not known; valid are ${known.join(', ')}`]
    }
    return
  }
  const valid = (schema && describe(schema, keyword)) || message
  yield [field, `${valid}; got ${show(at(value, instancePath), instancePath)}`]
}

/** What is valid, in words, for the keyword that failed. */
function describe(schema: AnySchema, keyword: string): string | undefined {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems } = schema
  if (typeof schema['x-valid'] === 'string') return `must be ${schema['x-valid']}`
  if (keyword === 'enum' || keyword === 'const') {
    const values = (schema.enum as readonly unknown[] | undefined) ?? [schema.const]
    return `must be one of ${values.map((value) => JSON.stringify(value)).join(', ')}`
  }
  const types = [schema.type].flat().filter((type) => type !== undefined)
  const names = types.map((type) => typeNames[type] ?? type).join(' or ')
  if (minimum !== undefined && maximum !== undefined) {
    return `must be ${names} from ${minimum} to ${maximum}`
  }
  if (keyword === 'minLength' || keyword === 'maxLength') {
    return `must have ${minLength ?? 0} to ${maxLength ?? 'any number of'} characters`
  }
  if (keyword === 'minItems' || keyword === 'maxItems') {
    return `must have ${minItems ?? 0} to ${maxItems ?? 'any number of'} items`
  }
  if (keyword === 'type') return `must be ${names}`
  return undefined
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

const secretFields = /^\/container\/(environment_variables|registry_authentication|logging)\b/

/** Only what is short and flat: a value may be deeper than a stack, and longer than an answer. */
function show(value: unknown, instancePath: string): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'an object'
  if (value === undefined) return 'nothing'
  if (secretFields.test(instancePath)) {
    return typeof value === 'string' ? `a text of ${value.length} characters` : `a ${typeof value}`
  }
  const text = JSON.stringify(value)
  return text.length <= 100 ? text : `${text.slice(0, 100)}… (${text.length} characters)`
}

/** What lies at a JSON pointer (RFC 6901). */
function at(root: unknown, pointer: string): unknown {
  let here = root
  for (const part of partsOf(pointer)) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, part)) return undefined
    here = (here as Readonly<Record<string, unknown>>)[part]
  }
  return here
}

function partsOf(pointer: string): readonly string[] {
  const parts = pointer.split('/').slice(1)
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** `/container/command/0` as `container.command[0]`. */
function fieldName(pointer: string): string {
  return (
    partsOf(pointer).reduce(
      (name, part) => (/^\d+$/.test(part) ? `${name}[${part}]` : join(name, part)),
      '',
    ) || 'body'
  )
}

function join(field: string, name: string): string {
  return field === '' || field === 'body' ? name : `${field}.${name}`
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}
