/** What a killed coordinator left in its database, read from a copy in memory. */
import { randomBytes } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openSealer } from '../../coordinator/secrets/index.ts'
import { collection, createLevelStore } from '../../protocol/store/index.ts'
import { BytesSchema } from '../../protocol/wire/index.ts'

export type CoordinatorStore = Readonly<{
  /** Of every blob, as only the key file opens them. */
  blobKeys: readonly Uint8Array[]
  /** Names of fields of all records, at any depth. */
  fields: ReadonlySet<string>
}>

/** Where every Debian has memory instead of a disk. */
const memory = '/dev/shm'

/** @param folder its data folder; nothing may have it open */
export async function readCoordinatorStore(folder: string): Promise<CoordinatorStore> {
  const copy = join(memory, `potluck-copy-${randomBytes(6).toString('hex')}`)
  await cp(folder, copy, { recursive: true })
  try {
    const store = await createLevelStore({ path: join(copy, 'store') })
    const sealer = await openSealer({ file: join(copy, 'secrets.key') }, { store })
    const blobKeys: Uint8Array[] = []
    for await (const [name, sealed] of collection(
      store,
      'blob-keys',
      BytesSchema(30, 1_024),
    ).entries()) {
      blobKeys.push(sealer.open({ record: `blob-key/${name}`, field: 'key' }, sealed))
    }
    const fields = new Set<string>()
    for await (const [, value] of store.entries()) addFields(value, fields)
    await store.close()
    return { blobKeys, fields }
  } finally {
    await rm(copy, { recursive: true })
  }
}

function addFields(value: unknown, fields: Set<string>): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return
  for (const [name, inner] of Object.entries(value)) {
    fields.add(name)
    addFields(inner, fields)
  }
}
