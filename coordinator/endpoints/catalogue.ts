/**
 * Inference endpoints: queues behind a stable public name, which every organization may send jobs to.
 * The operator lists them in a file; whose groups serve the queue is the publisher's business.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { PotluckError } from '../../protocol/errors.ts'
import { namePattern } from '../tenants/index.ts'
import { CatalogueError, EndpointNotFoundError } from './errors.ts'

const name = Type.String({ pattern: namePattern })
const line = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: '^.*$' })

const EntrySchema = Type.Object(
  {
    name,
    /** organization/project/queue: where its jobs go. */
    queue: Type.String({ pattern: `^${[1, 2, 3].map(() => namePattern.slice(1, -1)).join('/')}$` }),
    display_name: Type.String({ minLength: 2, maxLength: 63, pattern: '^[ ,-.0-9A-Za-z]+$' }),
    description: Type.String({ maxLength: 1_000, pattern: '^.*$' }),
    icon_url: line(2_048),
    input_schema: line(100_000),
    output_schema: line(100_000),
    price_description: line(100),
    readme: line(100_000),
  },
  { additionalProperties: false },
)
const CatalogueSchema = Type.Array(EntrySchema, { maxItems: 1_000 })

export type Endpoint = Readonly<
  Static<typeof EntrySchema> & {
    /** The same for the same name, on every coordinator. */
    id: string
    organization: string
    project: string
    queueName: string
  }
>

export interface Endpoints {
  /** By name. */
  list(): readonly Endpoint[]
  /** @throws {EndpointNotFoundError} */
  get(name: string): Endpoint
}

const catalogue = Compile(CatalogueSchema)

/** @throws {CatalogueError} two of a name, or not of the schema. */
export function createEndpoints(entries: unknown, file = 'the catalogue'): Endpoints {
  if (!catalogue.Check(entries)) {
    const [first] = catalogue.Errors(entries) as { instancePath: string; message: string }[]
    throw new CatalogueError(file, `${first?.instancePath || 'it'} ${first?.message ?? ''}`)
  }
  const byName = new Map<string, Endpoint>()
  for (const entry of entries) {
    if (byName.has(entry.name)) {
      throw new CatalogueError(file, `${JSON.stringify(entry.name)} stands there twice`)
    }
    const [organization = '', project = '', queueName = ''] = entry.queue.split('/')
    byName.set(entry.name, { ...entry, id: idOf(entry.name), organization, project, queueName })
  }
  const sorted = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  return {
    list: () => sorted,
    get(asked) {
      const found = byName.get(asked)
      if (!found) throw new EndpointNotFoundError(asked)
      return found
    },
  }
}

/** Those of a JSON file; none without one. @throws {CatalogueError} */
export async function readEndpoints(file: string | undefined): Promise<Endpoints> {
  if (file === undefined) return createEndpoints([])
  try {
    return createEndpoints(JSON.parse(await readFile(file, 'utf8')), file)
  } catch (cause) {
    if (cause instanceof PotluckError) throw cause
    throw new CatalogueError(file, 'it cannot be read as JSON', cause)
  }
}

/** A UUID of version 8 (RFC 9562): our own bits, here a hash of the name. */
function idOf(endpoint: string): string {
  const hash = createHash('sha256').update(`potluck inference endpoint ${endpoint}`).digest()
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6)
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = hash.toString('hex', 0, 16)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
