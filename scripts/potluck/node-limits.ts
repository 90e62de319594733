/** `potluck node limits`: what a running node may use of its chef's line, and other limits for a while. */
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import {
  askLimits,
  type LimitsAnswer,
  type LimitsRequest,
  leastBitsPerS,
} from '../../node/bandwidth/index.ts'
import { formatBitRate, parseBitRate, parseDurationMs } from '../../protocol/config/index.ts'
import type { CommandOutput } from './process-module.ts'
import { UsageError } from './report-error.ts'

type Options = Readonly<{
  dataDir: string
  upload?: string
  download?: string
  for: string
  usual?: boolean
  json?: boolean
}>

export function nodeLimitsCommand({ stdout }: CommandOutput): Command {
  return new Command('limits')
    .description('show the bandwidth limits of a running node, or change them for a while')
    .option('--data-dir <folder>', "the node's data folder", '~/.local/share/potluck/node')
    .option('--upload <rate>', 'for now, bits a second: 5mbit, unlimited')
    .option('--download <rate>', 'for now, bits a second')
    .option('--for <duration>', 'how long: 90m, 2h', '1h')
    .option('--usual', 'back to the settings at once')
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExamples:\n  potluck node limits --upload 5mbit --for 2h')
    .action(async (options: Options) => {
      const answer = await askLimits(folderOf(options.dataDir), requestOf(options))
      stdout(options.json ? `${JSON.stringify(answer)}\n` : `${describe(answer)}\n`)
    })
}

function requestOf({ upload, download, usual, ...options }: Options): LimitsRequest {
  const forMs = parseDurationMs(options.for)
  if (forMs === undefined || forMs <= 0) {
    throw new UsageError(`--for ${options.for} is not valid; give a duration such as 90m or 2h`)
  }
  if (usual) return { limits: {}, forMs: 0 }
  const [up, down] = [rateOf('--upload', upload), rateOf('--download', download)]
  if (up === undefined && down === undefined) return { forMs: 0 }
  const limits = {
    ...(up === undefined ? {} : { uploadBitsPerS: up }),
    ...(down === undefined ? {} : { downloadBitsPerS: down }),
  }
  return { limits, forMs }
}

function rateOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const bits = parseBitRate(text)
  if (bits !== undefined && bits >= leastBitsPerS) return bits
  const valid = `bits a second with their unit such as 5mbit, at least ${formatBitRate(leastBitsPerS)}`
  throw new UsageError(`${flag} ${text} is not valid; give ${valid}, or unlimited`)
}

function describe({ chosen, uploadBitsPerS }: LimitsAnswer): string {
  const rounded = uploadBitsPerS && Math.round(uploadBitsPerS / 1_000) * 1_000
  const now = rounded === undefined ? '' : ` (${formatBitRate(rounded)} now)`
  const { uploadBitsPerS: up, downloadBitsPerS: down } = chosen
  const upload = up === undefined ? `by default${now}` : formatBitRate(up)
  return `upload: ${upload}\ndownload: ${down === undefined ? 'unlimited' : formatBitRate(down)}`
}

function folderOf(path: string): string {
  return resolve(path.replace(/^~(?=\/)/, homedir()))
}
