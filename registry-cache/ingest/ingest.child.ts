/**
 * A process that ingests one image and says how far it is, for tests that kill it or weigh it.
 * `node ingest.child.ts '{"root":…,"repository":…,"blobs":[{"digest","sizeBytes","mediaType","key"}]}'`
 */
import { readFileSync, writeSync } from 'node:fs'
import { openBundleStore } from '../../protocol/chunk-store/index.ts'
import { systemClock } from '../../protocol/clock.ts'
import type { Digest } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createRegistryClient } from '../oci/index.ts'
import { createIngester, createYoungCollector } from './index.ts'

export type ChildOrder = Readonly<{
  root: string
  repository: string
  /** `key` in hex. */
  blobs: readonly Readonly<{ digest: Digest; sizeBytes: number; mediaType: string; key: string }>[]
}>
/** A line of the child's output. */
export type ChildLine =
  | Readonly<{ bytesDone: number }>
  | Readonly<{ bundle: string; registryBytes: number; maxRssBytes: number }>

const say = (line: ChildLine): unknown => writeSync(1, `${JSON.stringify(line)}\n`)
const order = JSON.parse(process.argv[2] ?? '') as ChildOrder
const store = await openBundleStore(
  { root: order.root, budgetBytes: 2 ** 40 },
  { logger: silentLogger, bootId: () => 'child' },
)
const source = createRegistryClient(
  { allow: ['127.0.0.0/8'], insecureRegistries: ['127.0.0.0/8'] },
  { clock: systemClock },
)
const ingester = createIngester(
  {},
  {
    ...{ store, source, announce: () => undefined, logger: silentLogger },
    onStreamed: createYoungCollector(),
  },
)
const { signal } = new AbortController()
let timer: NodeJS.Timeout | undefined
const { bundle, registryBytes } = await ingester.ingest(
  {
    repository: order.repository,
    credentials: undefined,
    blobs: order.blobs.map((blob) => ({
      ...blob,
      key: Uint8Array.from(Buffer.from(blob.key, 'hex')),
    })),
  },
  {
    signal,
    onStart(progress) {
      timer = setInterval(() => say({ bytesDone: progress().bytesDone }), 10)
    },
  },
)
clearInterval(timer)
say({ bundle, registryBytes, maxRssBytes: maxRssBytes() })
await ingester.stop()
await source.close()
await store.close()

/** Not `resourceUsage().maxRSS`, which goes on from the parent's peak where that is higher. */
function maxRssBytes(): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(peak?.[1]) * 1024
}
