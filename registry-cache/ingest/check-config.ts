/**
 * Whether an image's config fits: the platform of an image without an index stands there alone, and
 * it must be known before gigabytes of layers are read for machines that cannot run them.
 */
import { checkImageConfig, LINUX_AMD64, type ResolvedBlob } from '../oci/index.ts'

/**
 * @param layers each once, as an ingest names them; an image may list one twice, so its config may
 * describe more layers than these, never fewer
 * @throws {ImageSourceError} `PLATFORM_NOT_FOUND` or `MANIFEST_UNSUPPORTED`
 */
export function checkConfig(
  repository: string,
  layers: readonly ResolvedBlob[],
  config: Uint8Array,
): void {
  const repeated = Math.max(0, describedLayers(config) - layers.length)
  const again = layers.slice(0, 1)
  const all = [...layers, ...Array.from({ length: layers.length > 0 ? repeated : 0 }, () => again)]
  checkImageConfig({ reference: repository, layers: all.flat() }, config, LINUX_AMD64)
}

/** As many as Docker runs. */
const layersMax = 127

/** How many layers the config speaks of; 0 where it is none, which the check then says. */
function describedLayers(config: Uint8Array): number {
  try {
    const value = JSON.parse(Buffer.from(config).toString('utf8')) as
      | { rootfs?: { diff_ids?: unknown } }
      | undefined
    const layers = value?.rootfs?.diff_ids
    return Array.isArray(layers) ? Math.min(layers.length, layersMax) : 0
  } catch {
    return 0
  }
}
