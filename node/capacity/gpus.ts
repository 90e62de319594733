/**
 * Which GPUs this machine has, as NVIDIA's own tool tells it. No tool, no GPUs: that is not an
 * error. What it prints is outside input: a line that does not parse is left out and said so.
 * Source: `nvidia-smi --help-query-gpu`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Gpu } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'

const fields = ['uuid', 'name', 'memory.total', 'driver_version']
const queryMs = 15_000
const mib = 1 << 20

/** The GPUs in nvidia-smi's CSV (no header, no units), and lines that are none. */
export function parseGpus(csv: string): {
  readonly gpus: readonly Gpu[]
  readonly unread: readonly string[]
} {
  const gpus: Gpu[] = []
  const unread: string[] = []
  for (const line of csv.split('\n').filter((text) => text.trim() !== '')) {
    const [uuid = '', name = '', mebibytes = '', driver = ''] = line.split(',').map((p) => p.trim())
    const vramBytes = Number(mebibytes) * mib
    const isGpu = /^GPU-[0-9a-fA-F-]{8,64}$/.test(uuid) && name !== '' && vramBytes > 0
    if (!isGpu || !Number.isSafeInteger(vramBytes)) unread.push(line)
    else gpus.push({ uuid, name: name.slice(0, 128), vramBytes, driver: driver.slice(0, 64) })
  }
  return { gpus, unread }
}

/** Asks nvidia-smi. @throws the signal's reason. */
export async function findGpus({
  signal,
  logger,
}: {
  readonly signal: AbortSignal
  readonly logger: Logger
}): Promise<readonly Gpu[]> {
  try {
    const { stdout } = await promisify(execFile)(
      'nvidia-smi',
      [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'],
      { signal, timeout: queryMs, maxBuffer: mib },
    )
    const { gpus, unread } = parseGpus(stdout)
    if (unread.length > 0) logger.warn({ lines: unread }, 'nvidia-smi printed what is no GPU')
    return gpus
  } catch (error) {
    signal.throwIfAborted()
    if (errorCode(error) !== 'ENOENT') logger.warn({ error }, 'nvidia-smi does not answer')
    return []
  }
}
