/**
 * A minimal Debian, made with debootstrap from the mirror that this machine's apt uses. It runs in
 * mount and process namespaces of its own: what debootstrap mounts and starts in its chroot is gone
 * with it, however it ends.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { PotluckError } from '../../protocol/errors.ts'
import { runCommand } from '../street/run-command.ts'

/** Debootstrap downloads some 40 MB and unpacks 140 packages; a slow mirror takes minutes. */
const deadlineMs = 600_000

/** Beyond the minimum: what a web application's image has, and enough to pass 100 MB with Node. */
const packages = ['ca-certificates', 'curl', 'python3-minimal']

/** Changes when what is made changes; names the kept copy. */
export const debianRecipe = `debian-${packages.join('-')}`

export async function debianTar({
  folder,
  onProgress,
  signal,
}: {
  readonly folder: string
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal
}): Promise<Readable> {
  await removeAbandoned(folder)
  const root = await mkdtemp(join(folder, `making-${process.pid}-`))
  const remove = (): Promise<void> => rm(root, { recursive: true, force: true })
  try {
    await debootstrap(root, onProgress, signal)
  } catch (error) {
    await remove()
    throw error
  }
  onProgress('packing Debian')
  const without = [
    'var/cache/apt/*',
    'var/lib/apt/lists/*',
    'var/log/*',
    'dev/*',
    'proc/*',
    'sys/*',
  ]
  const args = ['--sort=name', '--numeric-owner', ...without.map((path) => `--exclude=./${path}`)]
  const tar = spawn('tar', ['-C', root, ...args, '-cf', '-', '.'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(signal ? { signal } : {}),
  })
  tar.once('error', (error) => tar.stdout.destroy(error))
  tar.once('close', (code) => {
    if (code !== 0) tar.stdout.destroy(new PotluckError('TAR_FAILED', `tar ended with ${code}`))
    remove().catch(() => onProgress(`could not remove ${root}`))
  })
  return tar.stdout
}

async function debootstrap(
  root: string,
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { mirror, suite } = await mirrorOfThisMachine()
  onProgress(`making a Debian ${suite} from ${mirror} (once; it is kept)`)
  const alone = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
  const include = `--include=${packages.join(',')}`
  const command = ['debootstrap', '--variant=minbase', include, suite, root, mirror]
  const child = spawn('unshare', [...alone, '--mount-proc', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      LC_ALL: 'C',
      DEBIAN_FRONTEND: 'noninteractive',
      ...(await proxyOfApt()),
    },
    signal: AbortSignal.any([...(signal ? [signal] : []), AbortSignal.timeout(deadlineMs)]),
    killSignal: 'SIGKILL',
  })
  const last: string[] = []
  let seen = 0
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      last.push(line)
      if (last.length > 8) last.shift()
      if (++seen % 50 === 0) onProgress(`debootstrap: ${line.replace(/^I: /, '')}`)
    })
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (reason: string): void =>
    reject(new PotluckError('DEBOOTSTRAP_FAILED', `debootstrap: ${reason}\n${last.join('\n')}`))
  child.once('error', (error) => fail(error.message))
  child.once('close', (code) => (code === 0 ? resolve() : fail(`ended with ${code}`)))
  await promise
}

async function mirrorOfThisMachine(): Promise<{ mirror: string; suite: string }> {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1]
  const format = '$(SITE) $(RELEASE) $(COMPONENT)'
  const targets = await runCommand([
    ...['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'],
  ]).catch(() => '')
  const lines = targets.split('\n').map((line) => line.split(' '))
  const own = lines.find(([site = '', release, component]) => {
    return release === suite && component === 'main' && /^https?:/.test(site)
  })
  const mirror = own?.[0]
  if (mirror === undefined || suite === undefined) {
    const message =
      'apt knows no mirror of this Debian release; add one to /etc/apt/sources.list.d and run ' +
      '`apt-get update`'
    throw new PotluckError('MIRROR_UNKNOWN', message)
  }
  return { mirror, suite }
}

/** Debootstrap downloads with wget, which does not read apt's settings. */
async function proxyOfApt(): Promise<Record<string, string>> {
  const shell = ['apt-config', 'shell', 'PROXY', 'Acquire::http::Proxy']
  const url = /^PROXY='(http[^']+)'/m.exec(await runCommand(shell).catch(() => ''))?.[1]
  return url && !process.env.http_proxy ? { http_proxy: url } : {}
}

/** Folders of processes that were killed before they could remove them. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = /^making-(\d+)-/.exec(name)?.[1]
    if (!pid || existsSync(`/proc/${pid}`)) continue
    await rm(join(folder, name), { recursive: true, force: true })
  }
}
