/** Who gave which bytes: from the registry's access log and from what the nodes report. */
import { nameOf } from './progress.ts'
import type { Stage } from './stage.ts'
import type { DemoInstance } from './tenant.ts'
import { bytesText, tableLines } from './text.ts'

/** What the registry's bytes may exceed the image's by: a body that broke off and was resumed. */
const excessMax = 1.01

/** Prints each blob's reads, and notes what had to hold of them. */
export function showBlobs({ network, record, image, screen }: Stage): void {
  const reads = network.registry.blobReads()
  const blobs = [
    { kind: 'config', blob: image.config },
    ...image.layers.map((blob, index) => ({ kind: `layer ${index + 1}`, blob })),
  ].map(({ kind, blob }) => ({ kind, blob, seen: reads.get(blob.digest) }))
  const rows = blobs.map(({ kind, blob, seen }) => [
    kind,
    `${blob.digest.slice(0, 19)}…`,
    bytesText(blob.sizeBytes),
    String(seen?.reads ?? 0),
    bytesText(seen?.bytes ?? 0),
  ])
  const registryBytes = sumOf([...reads.values()].map(({ bytes }) => bytes))
  const inAll = ['in all', '', bytesText(image.blobBytes), '', bytesText(registryBytes)]
  const head = ['blob', 'digest', 'size', 'reads', 'bytes read']
  for (const line of tableLines([head, ...rows, inAll])) screen.line(`  ${line}`)

  const { figures } = record
  figures.imageBytes = image.blobBytes
  figures.registryBytes = registryBytes
  figures.maxReadsPerBlob = Math.max(0, ...[...reads.values()].map((blob) => blob.reads))
  record.check(
    'oneRead',
    blobs.every(({ seen }) => seen?.reads === 1) && figures.maxReadsPerBlob === 1,
    blobs.map(({ seen }) => seen?.reads ?? 0).join(', '),
  )
  const share = registryBytes / image.blobBytes
  record.check(
    'registryBytes',
    share >= 1 && share <= excessMax,
    `${share.toFixed(3)} of the image`,
  )
}

/** Prints where each instance stands and got its bytes from, and notes what had to hold of them. */
export function showInstances(
  { network, record, image, screen }: Stage,
  instances: readonly DemoInstance[],
): void {
  const rows = instances.map((instance) => {
    const { slot, epoch, bytes_from_caches, bytes_from_peers, bytes_served } = instance.potluck
    return [
      ...[nameOf(instance, network.nodes), String(slot), String(epoch), instance.state],
      ...[bytes_from_caches, bytes_from_peers, bytes_served].map(bytesText),
    ]
  })
  const head = ['node', 'slot', 'epoch', 'state', 'from cache', 'from peers', 'served to engine']
  for (const line of tableLines([head, ...rows])) screen.line(`  ${line}`)

  const served = instances.map(({ potluck }) => potluck.bytes_served)
  const least = Math.min(...served)
  record.check('served', least >= image.blobBytes, `at least ${bytesText(least)} each`)
  if (record.figures.peerBytes !== null) return
  const peerBytes = sumOf(instances.map(({ potluck }) => potluck.bytes_from_peers))
  const cacheBytes = sumOf(instances.map(({ potluck }) => potluck.bytes_from_caches))
  record.figures.peerBytes = peerBytes
  const detail = `${bytesText(peerBytes)} from peers, ${bytesText(cacheBytes)} from the cache`
  record.check('peers', peerBytes > 0, detail)
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
