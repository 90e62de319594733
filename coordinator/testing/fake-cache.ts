/** A cache that answers what a test wants, and reads from no registry. */
import { createHash } from 'node:crypto'
import { blobIdFor, chunkSizeFor } from '../../protocol/bundle/index.ts'
import {
  type DownMessage,
  ingestSecretsCodec,
  type ResolvedManifest,
} from '../../protocol/control/index.ts'
import type { BundleId } from '../../protocol/ids.ts'
import type { Sealed } from '../../protocol/sealing/index.ts'
import { fakeImage } from './fake-image.ts'
import { FakePeer } from './fake-peer.ts'

export class FakeCache extends FakePeer {
  protected readonly role = 'cache'
  readonly resolves: string[] = []
  readonly ingests: string[] = []
  /** What was unsealed of each ingest and resolve. */
  readonly credentials: string[] = []
  /** Answers to resolve; by default every reference is a public image of two blobs. */
  resolve: (reference: string) => ResolvedManifest | { code: string; message: string } = (
    reference,
  ) => fakeImage(reference)
  /** Called when an ingest arrives; the answer waits for it. */
  beforeIngested: () => Promise<void> = async () => {}

  protected override onMessage(message: DownMessage): void {
    if (message.type === 'resolve') {
      this.resolves.push(message.reference)
      if (message.credentials) {
        this.credentials.push(Buffer.from(this.open(message.credentials)).toString('latin1'))
      }
      const answer = this.resolve(message.reference)
      const { id } = message
      if ('code' in answer) this.send({ type: 'resolved', id, fault: answer })
      else this.send({ type: 'resolved', id, image: answer })
    }
    if (message.type === 'ingest') void this.#ingest(message.id, message.sealed)
    if (message.type === 'drop-bundle') this.bundles.delete(message.bundle)
  }

  async #ingest(id: string, sealed: Sealed): Promise<void> {
    const secrets = ingestSecretsCodec.decode(this.open(sealed))
    this.ingests.push(secrets.repository)
    if (secrets.credentials) this.credentials.push(secrets.credentials.password)
    this.send({ type: 'ingest-progress', id, bytesDone: 1, bytesTotal: 2 })
    await this.beforeIngested()
    const blobIds = secrets.blobs.map(({ key, digest, sizeBytes }) =>
      blobIdFor(key, digest, chunkSizeFor(sizeBytes)),
    )
    const bundle = createHash('sha256').update(blobIds.join()).digest('hex') as BundleId
    this.bundles.add(bundle)
    this.send({ type: 'ingested', id, bundle, blobIds, registryBytes: 2 })
  }
}
