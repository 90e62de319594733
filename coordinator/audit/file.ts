/**
 * The audit log as a file: a CBOR sequence (RFC 8742) of certificates, entries and the newest head.
 * It can be given to anybody: with the network file it proves itself, and it holds no secret.
 */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import Type, { type Static } from 'typebox'
import { type AuditProof, auditHeadCodec } from '../../protocol/audit/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import { BytesSchema, createCodec, type Signed, SignedSchema } from '../../protocol/wire/index.ts'
import { entryBytesMax } from './entry.ts'
import { AuditFileError } from './errors.ts'
import { auditRecords, entryKey, headKey } from './records.ts'
import type { AuditSource } from './verify.ts'

const itemBytesMax = entryBytesMax + 64

const ItemSchema = Type.Union([
  /** First, so that whoever reads once knows what to hold the entries to. */
  Type.Object({ head: SignedSchema, certificate: SignedSchema }, { additionalProperties: false }),
  Type.Object({ entry: BytesSchema(1, entryBytesMax) }, { additionalProperties: false }),
])
const itemCodec = createCodec('item of an audit file', ItemSchema, { maxBytes: itemBytesMax })
type Item = Static<typeof ItemSchema>

/** The log that lies in a coordinator's store. */
export async function auditSourceOf(store: Store): Promise<AuditSource> {
  const records = auditRecords(store)
  return { entries: bytesOf(records.entries.entries()), proof: await proofOf(store) }
}

async function* bytesOf(
  entries: AsyncIterable<readonly [string, Uint8Array]>,
): AsyncGenerator<Uint8Array> {
  for await (const [, bytes] of entries) yield bytes
}

async function proofOf(store: Store): Promise<AuditProof | undefined> {
  const { heads, certificates } = auditRecords(store)
  const head = await heads.get(headKey)
  if (!head) return undefined
  const { term } = auditHeadCodec.decode(head.payload)
  const certificate: Signed | undefined = await certificates.get(entryKey(term))
  return certificate && { certificate, head }
}

/** The bytes of the file. */
export async function* exportAudit({ entries, proof }: AuditSource): AsyncGenerator<Uint8Array> {
  if (proof) yield itemCodec.encode({ head: proof.head, certificate: proof.certificate })
  for await (const entry of entries) yield itemCodec.encode({ entry })
}

/** A file as a source; what is no item of a log ends `entries` with a throw. */
export async function openAuditFile(file: string): Promise<AuditSource> {
  return await readAuditItems(file, createReadStream(file))
}

/** As {@link openAuditFile}, of bytes from anywhere; `name` is for errors. */
export async function readAuditItems(
  name: string,
  input: Readable | AsyncIterable<Uint8Array>,
): Promise<AuditSource> {
  const items = itemsOf(name, input)
  const first = await items.next()
  const item: Item | undefined = first.done ? undefined : first.value
  if (!item || !('head' in item)) {
    await items.return(undefined)
    throw new AuditFileError(name, 'it does not begin with the signed head of an audit log')
  }
  return { entries: entriesOf(name, items), proof: item }
}

async function* entriesOf(name: string, items: AsyncGenerator<Item>): AsyncGenerator<Uint8Array> {
  for await (const item of items) {
    if (!('entry' in item)) throw new AuditFileError(name, 'a second head among its entries')
    yield item.entry
  }
}

async function* itemsOf(
  name: string,
  input: Readable | AsyncIterable<Uint8Array>,
): AsyncGenerator<Item> {
  let rest: Uint8Array = new Uint8Array()
  const decode = (): Item | undefined => {
    try {
      const [item, after] = itemCodec.decodeFirst(rest)
      rest = after
      return item
    } catch (error) {
      // Perhaps the rest of it is still to come.
      if (rest.length < itemBytesMax) return undefined
      throw new AuditFileError(name, 'it holds what is no item of an audit log', error)
    }
  }
  for await (const chunk of input) {
    rest = Buffer.concat([rest, chunk as Uint8Array])
    // As long as the longest item is surely there, what does not decode is damage.
    while (rest.length >= itemBytesMax) {
      const item = decode()
      if (item) yield item
    }
  }
  while (rest.length > 0) {
    const item = decode()
    if (!item) throw new AuditFileError(name, 'its last item is not whole, or damaged')
    yield item
  }
}
