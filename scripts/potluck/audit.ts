/**
 * `potluck audit`: whether the coordinator's log of orders, keys, bans and admin acts is whole, and
 * what stands in it. It reads a stopped coordinator's folder or an exported file, and needs no key.
 */
import { access, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import type { AuditEntry, AuditSource, AuditVerdict } from '../../coordinator/audit/index.ts'
import type { AuditProof } from '../../protocol/audit/index.ts'
import type { Store } from '../../protocol/store/index.ts'
import type { CliContext } from './cli-context.ts'
import { exitCodes } from './exit-codes.ts'
import { UsageError } from './report-error.ts'

type SourceOptions = Readonly<{ dataDir?: string; file?: string }>
type VerifyOptions = SourceOptions &
  Readonly<{ network: string; head: readonly string[]; json?: boolean }>

const more = (value: string, before: readonly string[]): readonly string[] => [...before, value]

export function auditCommand(context: CliContext): Command {
  const noun = new Command('audit').description("read and check the coordinator's audit log")
  fromSource(noun.command('verify'))
    .description('find any entry that was changed, dropped, moved or cut off')
    .requiredOption('--network <file>', 'the network file: it pins the root key')
    .option(
      '--head <file>',
      'a head that a peer holds, as `audit head` prints it (repeatable)',
      more,
      [],
    )
    .option('--json', 'print one line of JSON')
    .addHelpText('after', '\nExit code 1: the log is damaged, or cannot be read.')
    .action((options: VerifyOptions) => verify(options, context))
  fromSource(noun.command('ls'))
    .description('print the entries, oldest first; unchecked')
    .option('--json', 'print a line of JSON for each')
    .action((options: SourceOptions & { json?: boolean }) => list(options, context))
  noun
    .command('export')
    .description('write the log to a file that proves itself, to be given to anybody')
    .requiredOption('--data-dir <folder>', "a stopped coordinator's data folder")
    .requiredOption('--out <file>', 'a file that is not there yet')
    .action((options: { dataDir: string; out: string }) => exportTo(options, context))
  noun
    .command('head')
    .description('print the newest head that a node or a cache was shown')
    .requiredOption('--data-dir <folder>', "a stopped node's or cache's data folder")
    .action((options: { dataDir: string }) => printHead(options, context))
  return noun
}

function fromSource(command: Command): Command {
  return command
    .option('--data-dir <folder>', "a stopped coordinator's data folder")
    .option('--file <file>', 'a file that `audit export` wrote')
}

async function verify(options: VerifyOptions, context: CliContext): Promise<void> {
  const { verifyAudit } = await import('../../coordinator/audit/index.ts')
  const { readNetworkFile } = await import('../../protocol/network/index.ts')
  const network = await readNetworkFile(folderOf(options.network))
  const shown = await Promise.all(options.head.map(readHead))
  const verdict = await withSource(options, (source) => verifyAudit({ ...source, shown }, network))
  context.stdout(options.json ? `${JSON.stringify(verdict)}\n` : `${describe(verdict)}\n`)
  if (!verdict.ok) context.exitCode = exitCodes.failure
}

function describe(verdict: AuditVerdict): string {
  if (!verdict.ok) return `The audit log is damaged. ${verdict.problem}`
  const { entries, newest, lost } = verdict
  const gap = lost > 0 ? `; ${lost} were lost before restores, which say so` : ''
  return `The audit log is whole: ${entries} entries, the newest is ${newest}${gap}.`
}

async function list(
  options: SourceOptions & { json?: boolean },
  { stdout }: CliContext,
): Promise<void> {
  const { auditEntryCodec } = await import('../../coordinator/audit/index.ts')
  await withSource(options, async ({ entries }) => {
    for await (const bytes of entries) {
      const entry = auditEntryCodec.decode(bytes)
      stdout(options.json ? `${JSON.stringify(shown(entry))}\n` : `${line(entry)}\n`)
    }
  })
}

function shown({ number, atMs, kind, by, facts, previous }: AuditEntry) {
  const at = new Date(atMs).toISOString()
  return { number, at, kind, by, facts, previous: Buffer.from(previous).toString('hex') }
}

function line({ number, atMs, kind, by, facts }: AuditEntry): string {
  const told = Object.entries(facts).map(([name, value]) => `${name}=${value}`)
  return [String(number).padStart(8), new Date(atMs).toISOString(), kind, `by ${by}`, ...told].join(
    ' ',
  )
}

async function exportTo(
  { dataDir, out }: { dataDir: string; out: string },
  { stdout }: CliContext,
): Promise<void> {
  const { exportAudit } = await import('../../coordinator/audit/index.ts')
  const file = folderOf(out)
  await withSource({ dataDir }, async (source) => {
    // Never over another file: it may be the only whole copy.
    await writeFile(file, '', { flag: 'wx' })
    const { createWriteStream } = await import('node:fs')
    await pipeline(Readable.from(exportAudit(source)), createWriteStream(file))
  })
  stdout(`${file}\n`)
}

async function printHead({ dataDir }: { dataDir: string }, { stdout }: CliContext): Promise<void> {
  const { readKeptHead } = await import('../../protocol/peer/index.ts')
  const proof = await withStore(join(folderOf(dataDir), 'state'), readKeptHead)
  if (!proof) throw new UsageError(`${dataDir}: this peer was shown no head of the audit log yet`)
  const { auditProofCodec } = await import('../../protocol/audit/index.ts')
  stdout(`${Buffer.from(auditProofCodec.encode(proof)).toString('base64')}\n`)
}

async function readHead(file: string): Promise<AuditProof> {
  const { auditProofCodec } = await import('../../protocol/audit/index.ts')
  const text = await readFile(folderOf(file), 'utf8')
  try {
    return auditProofCodec.decode(new Uint8Array(Buffer.from(text.trim(), 'base64')))
  } catch {
    throw new UsageError(`--head ${file}: not what \`potluck audit head\` prints`)
  }
}

async function withSource<T>(
  { dataDir, file }: SourceOptions,
  use: (source: AuditSource) => Promise<T>,
): Promise<T> {
  if ((dataDir === undefined) === (file === undefined)) {
    throw new UsageError('give either --data-dir or --file')
  }
  const { auditSourceOf, openAuditFile } = await import('../../coordinator/audit/index.ts')
  if (file !== undefined) return await use(await openAuditFile(folderOf(file)))
  return await withStore(join(folderOf(dataDir ?? ''), 'store'), async (store) =>
    use(await auditSourceOf(store)),
  )
}

async function withStore<T>(path: string, use: (store: Store) => Promise<T>): Promise<T> {
  await access(path).catch(() => {
    throw new UsageError(`${path}: there is no such folder; give --data-dir as the process has it`)
  })
  const { createLevelStore } = await import('../../protocol/store/index.ts')
  const store = await createLevelStore({ path })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

function folderOf(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()))
}
