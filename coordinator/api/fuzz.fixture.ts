/**
 * Requests made from Potluck's own OpenAPI: every operation, with bodies that are valid, at a bound,
 * or broken in one place. Where a schema says less than the code relies on, one of them ends in a 500.
 */
import fc from 'fast-check'
import type { OpenApi } from './answers.fixture.ts'

type Schema = Readonly<{
  type?: string | readonly string[]
  enum?: readonly unknown[]
  const?: unknown
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  maxProperties?: number
  items?: Schema
  properties?: Readonly<Record<string, Schema>>
  patternProperties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
}>

type Parameter = Readonly<{ in: string; name: string; schema: Schema }>
type Operation = Readonly<{
  operationId?: string
  parameters?: readonly Parameter[]
  requestBody?: Readonly<{ content: Readonly<Record<string, Readonly<{ schema: Schema }>>> }>
}>

export type FuzzRequest = Readonly<{
  id: string
  method: string
  url: string
  contentType: string | undefined
  body: string | undefined
}>

const anything = fc.jsonValue({ maxDepth: 3 })

/** Values that fit `schema`, its bounds among them. */
export function valid(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  const types = [schema.type ?? []].flat()
  if (types.length === 0) return anything
  return fc.oneof(...types.map((type) => ofType(type, schema)))
}

function ofType(type: string, schema: Schema): fc.Arbitrary<unknown> {
  switch (type) {
    case 'object':
      return ofObject(schema)
    case 'array': {
      const { minItems = 0, maxItems = 100 } = schema
      const item = valid(schema.items ?? {})
      const some = fc.array(item, {
        minLength: minItems,
        maxLength: Math.min(minItems + 3, maxItems),
      })
      return fc.oneof(
        { weight: 9, arbitrary: some },
        { weight: 1, arbitrary: full(item, maxItems) },
      )
    }
    case 'string':
      return ofString(schema)
    case 'integer':
    case 'number': {
      const { minimum: min = -(2 ** 31), maximum: max = 2 ** 31 } = schema
      return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max }))
    }
    case 'boolean':
      return fc.boolean()
    default:
      return fc.constant(null)
  }
}

/** As many as there may be, all alike: what a bound is for. */
function full(item: fc.Arbitrary<unknown>, length: number): fc.Arbitrary<unknown> {
  return item.map((one) => Array.from({ length: Math.min(length, 1_000) }, () => one))
}

function ofObject({ properties, required = [], patternProperties, ...rest }: Schema) {
  if (properties && Object.keys(properties).length > 0) {
    const fields = Object.entries(properties).map(([name, field]) => {
      const good = sound[name]
      const any = valid(field)
      return [
        name,
        good === undefined ? any : fc.oneof(any, ...[1, 2, 3].map(() => fc.constant(good))),
      ] as const
    })
    return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] })
  }
  const [values = {}] = Object.values(patternProperties ?? {})
  const key = fc.oneof(fc.stringMatching(/^[A-Z_]{1,8}$/), fc.string())
  return fc.dictionary(key, valid(values), { maxKeys: Math.min(rest.maxProperties ?? 5, 5) })
}

function ofString({ pattern, format, minLength = 0, maxLength = 10_000 }: Schema) {
  if (format === 'date-time') {
    return fc
      .date({ noInvalidDate: true, max: new Date('9999-12-31') })
      .map((at) => at.toISOString())
  }
  const isLine = pattern === undefined || pattern === '^.*$'
  if (!isLine) {
    const fits = (text: string): boolean => text.length >= minLength && text.length <= maxLength
    return fc.oneof(fc.stringMatching(new RegExp(pattern)).filter(fits), ...known(pattern))
  }
  const long = fc.constantFrom(minLength, maxLength).map((length) => 'é'.repeat(length))
  const some = fc
    .string({ minLength, maxLength: Math.min(maxLength, minLength + 20), unit: 'grapheme' })
    .filter((text) => text.length <= maxLength && !/[\n\r\u2028\u2029]/.test(text))
  return fc.oneof({ weight: 1, arbitrary: long }, { weight: 5, arbitrary: some })
}

/** Names that exist, so that references are found too. */
function known(pattern: string): readonly fc.Arbitrary<string>[] {
  return ['hello', 'work', 'transcribe'].some((name) => new RegExp(pattern).test(name))
    ? [fc.constantFrom('hello', 'work', 'transcribe')]
    : []
}

/** By property: what no schema says of it, said right, so that whole requests come through too. */
const sound: Readonly<Record<string, unknown>> = {
  image: 'registry.example/acme/hello:1',
  gpu_classes: ['ed563892-aacd-40f5-80b7-90c9be6c759b'],
  registry_authentication: { basic: { username: 'u', password: 'p' } },
  logging: { tcp: { host: 'logs.example', port: 1 } },
  liveness_probe: { tcp: { port: 80 } },
  readiness_probe: { grpc: { port: 80, service: '' } },
  startup_probe: { exec: { command: ['true'] } },
  networking: { auth: false, port: 80, protocol: 'http' },
  queue_connection: { path: '/', port: 80, queue_name: 'work' },
  queue_autoscaler: { desired_queue_length: 1, min_replicas: 0, max_replicas: 3 },
  replicas: 1,
  schedule: '0 5 * * *',
  'scaling-actions': [{ schedule: '0 5 * * *', replicas: 1 }],
  scaling_actions: [{ schedule: '0 5 * * *', replicas: 1 }],
  command: ['serve'],
  webhook: 'https://hooks.example/',
  webhook_url: 'https://hooks.example/',
  end_time: '9999-12-31T00:00:00Z',
}

type Place = readonly string[]

function placesOf(value: unknown, place: Place = []): Place[] {
  if (typeof value !== 'object' || value === null) return [place]
  const inner = Object.entries(value).flatMap(([name, item]) => placesOf(item, [...place, name]))
  return [place, ...inner]
}

function replaced(value: unknown, [name, ...rest]: Place, by: unknown): unknown {
  if (name === undefined) return by
  if (Array.isArray(value)) {
    return value.map((item, index) => (String(index) === name ? replaced(item, rest, by) : item))
  }
  const object = value as Readonly<Record<string, unknown>>
  return { ...object, [name]: replaced(object[name], rest, by) }
}

const wrong = fc.oneof(
  anything,
  fc.constantFrom<unknown>(undefined, -1, 0.5, 2 ** 53, 1e308, '', 'x'.repeat(20_000), [], {}),
  fc.constantFrom<unknown>('\u0000', '\ud800', '__proto__', 'constructor', '../..', '\n'),
)

/** Valid, but for one place. */
function broken(schema: Schema): fc.Arbitrary<unknown> {
  return fc.tuple(valid(schema), fc.nat(), wrong).map(([value, at, by]) => {
    const places = placesOf(value)
    return replaced(value, places[at % places.length] ?? [], by)
  })
}

/**
 * Any request of `document`.
 * @param values what path parameters are called that exist, by parameter
 */
export function requestsOf(
  document: OpenApi,
  values: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<FuzzRequest> {
  const all = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      requestOf(path, method.toUpperCase(), operation as Operation, values),
    ),
  )
  return fc.oneof(...all)
}

function requestOf(
  path: string,
  method: string,
  { operationId: id = '', parameters = [], requestBody }: Operation,
  values: Readonly<Record<string, readonly string[]>>,
): fc.Arbitrary<FuzzRequest> {
  const odd = fc.string({ unit: 'binary', maxLength: 250 })
  const inPath = parameters
    .filter((parameter) => parameter.in === 'path')
    .map(({ name }) => {
      const existing = fc.constantFrom(...(values[name] ?? ['nope']))
      const value = fc.oneof({ weight: 30, arbitrary: existing }, { weight: 1, arbitrary: odd })
      return [name, value] as const
    })
  const inQuery = parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) => [name, fc.oneof(valid(schema), valid(schema), odd)] as const)
  const [[contentType, content] = []] = Object.entries(requestBody?.content ?? {})
  const schema = content?.schema
  const body = schema ? fc.oneof(valid(schema), broken(schema)) : fc.constant(undefined)
  return fc
    .tuple(
      fc.record(Object.fromEntries(inPath)),
      fc.record(Object.fromEntries(inQuery), { requiredKeys: [] }),
      body,
    )
    .map(([names, query, value]) => {
      const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name: string) =>
        encodeURIComponent((names as Readonly<Record<string, string>>)[name] ?? ''),
      )
      const pairs = Object.entries(query).map(([name, item]): [string, string] => [
        name,
        String(item),
      ])
      const search = pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ''
      const text = schema ? (JSON.stringify(value) ?? '') : undefined
      return { id, method, url: `${filled}${search}`, contentType, body: text }
    })
}
