/** `potluck network create`: the keys of a new network, each file where its holder needs it, ready to run. */
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { Command } from 'commander'
import { PotluckError } from '../../protocol/errors.ts'
import { networkFiles } from '../network/files.ts'
import type { CliContext } from './cli-context.ts'
import { networkTermCommand } from './network-term.ts'
import { UsageError } from './report-error.ts'

type CreateOptions = Readonly<{
  dir: string
  name: string
  coordinatorAddress: readonly string[]
  householdPerAddress: readonly string[]
  json?: boolean
}>

const more = (value: string, before: readonly string[]): readonly string[] => [...before, value]

export function networkCommand(context: CliContext): Command {
  const noun = new Command('network').description('make a network: its keys and its file')
  const create = noun
    .command('create')
    .description('draw the keys of a new network, and write the file that every peer needs')
    .option('--dir <folder>', 'where the files go', '.')
    .option('--name <name>', 'a name for people: lower-case letters, digits, dashes', 'potluck')
    .requiredOption(
      '--coordinator-address <multiaddr>',
      'where peers dial the coordinator, without /p2p/… (repeatable, required)',
      more,
      [],
    )
    .option(
      '--household-per-address <prefix>',
      'addresses of which each is a household of its own, as 192.168.0.0/16 (repeatable)',
      more,
      [],
    )
    .option('--json', 'print one line of JSON on stdout')
    .option('--verbose', 'tell errors with all their causes')
    .addHelpText(
      'after',
      [
        '',
        'Example:',
        '  potluck network create --dir my-network --name kitchen \\',
        '    --coordinator-address /dns4/coordinator.example.net/tcp/4001',
      ].join('\n'),
    )
  create.action(async () => createFiles(create.opts<CreateOptions>(), context))
  noun.addCommand(networkTermCommand(context))
  return noun
}

async function createFiles(options: CreateOptions, { stdout }: CliContext): Promise<void> {
  checkOptions(options)
  const dir = resolve(options.dir)
  const at = (file: string): string => join(dir, file)
  for (const file of Object.values(networkFiles)) await refuseExisting(at(file))

  const { writeNetwork, writePublic } = await import('../network/index.ts')
  const { network, coordinator, cache } = await writeNetwork({
    dir,
    name: options.name,
    coordinatorAddrs: options.coordinatorAddress,
    householdPerAddress: options.householdPerAddress,
    keepRootKey: true,
    issuedMs: Date.now(),
  })
  await writePublic(at(networkFiles.coordinatorSettings), coordinatorSettings(cache))
  await writePublic(at(networkFiles.cacheSettings), cacheSettings)
  const result = {
    network: network.network,
    name: network.name,
    coordinator,
    networkFile: at(networkFiles.network),
    rootKeyFile: at(networkFiles.rootKey),
    coordinatorDataDir: at(networkFiles.coordinatorData),
    coordinatorSettingsFile: at(networkFiles.coordinatorSettings),
    cache,
    cacheSettingsFile: at(networkFiles.cacheSettings),
  }
  stdout(options.json ? `${JSON.stringify(result)}\n` : story(result))
}

function story(result: Readonly<Record<string, string>>): string {
  return [
    `Network ${result.name} (${result.network})`,
    `  ${result.networkFile}: give it to every node and cache; it holds no secret`,
    `  ${result.coordinatorSettingsFile}: potluck coordinator run --config …  (${result.coordinator})`,
    `  ${result.cacheSettingsFile}: potluck cache run --config …  (${result.cache})`,
    `  ${result.rootKeyFile}: keep it offline; who has it owns the network, without it no restore`,
    '',
  ].join('\n')
}

/** Paths in settings are relative to their file, so the folder may be moved. */
function coordinatorSettings(cache: string): string {
  return [
    '# The coordinator: potluck coordinator run --config coordinator.toml',
    '# All settings: potluck coordinator run --help',
    `network = "${networkFiles.network}"`,
    `data_dir = "${networkFiles.coordinatorData}"`,
    '# Peers that pull images and hold their keys. Add those of further caches.',
    `caches = ["${cache}"]`,
    '',
  ].join('\n')
}

const cacheSettings = [
  '# A cache: potluck cache run --config cache.toml',
  '# All settings: potluck cache run --help',
  `network = "${networkFiles.network}"`,
  `data_dir = "${networkFiles.cacheData}"`,
  '',
].join('\n')

function checkOptions({ name, coordinatorAddress, householdPerAddress }: CreateOptions): void {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
    throw new UsageError(
      `--name ${JSON.stringify(name)} is not valid; give lower-case letters, digits and dashes, at most 63`,
    )
  }
  if (coordinatorAddress.length === 0) {
    throw new UsageError('--coordinator-address is required, such as /ip4/203.0.113.7/tcp/4001')
  }
  for (const text of coordinatorAddress) {
    if (isDialAddress(text)) continue
    throw new UsageError(
      `--coordinator-address ${JSON.stringify(text)} is not valid; give a TCP multiaddr without /p2p/…, such as /ip4/203.0.113.7/tcp/4001`,
    )
  }
  for (const prefix of householdPerAddress) {
    if (/^[0-9a-f.:]+\/\d{1,3}$/i.test(prefix)) continue
    throw new UsageError(
      `--household-per-address ${JSON.stringify(prefix)} is not valid; give a prefix such as 192.168.0.0/16`,
    )
  }
}

function isDialAddress(text: string): boolean {
  try {
    const names = multiaddr(text)
      .getComponents()
      .map(({ name }) => name)
    return names.includes('tcp') && !names.includes('p2p')
  } catch {
    return false
  }
}

/** A root key that is overwritten takes its network with it. */
async function refuseExisting(path: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  if (!exists) return
  throw new PotluckError(
    'NETWORK_EXISTS',
    `${path} is there already; choose another --dir, a network is never overwritten`,
    { fields: { path } },
  )
}
