/**
 * Network namespaces under the names of one run. They are made with `ip netns`, so that people can
 * look into them; disposing removes exactly those that this run made. Nothing is ever added to the
 * machine's own namespace: no interface, no address, no firewall rule.
 */
import { readdir, rmdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readMounts } from '../../protocol/mounts/index.ts'
import { insideNamespace, runCommand } from './run-command.ts'
import type { RunFolder } from './run-folder.ts'

export const netnsFolder = '/run/netns'

// Duplicate address detection would hold back every IPv6 address, link-local ones too, for a second
// or two after its interface came up; nobody here has the same address.
const firstThings = `
for f in accept_dad dad_transmits accept_ra; do echo 0 > /proc/sys/net/ipv6/conf/default/$f; done
ip link set lo up`

export interface Namespace {
  /** As `ip netns list` shows it: `<run>-<label>`. */
  readonly name: string
  readonly path: string
  /** Names the namespace in /proc/PID/ns/net, also after the path is gone. */
  readonly inode: number
  /** Runs one shell script inside (`sh -eu`); resolves to its stdout. */
  script(text: string, options?: { readonly signal?: AbortSignal }): Promise<string>
}

export interface Namespaces {
  create(label: string, options?: { readonly signal?: AbortSignal }): Promise<Namespace>
  /** Every namespace made, removed ones included. */
  all(): readonly Namespace[]
  /** Removes one; its interfaces go with it when its last process ends. */
  remove(namespace: Namespace): Promise<void>
  dispose(): Promise<void>
}

export async function createNamespaces({ run }: { run: RunFolder }): Promise<Namespaces> {
  const made: Namespace[] = []
  const present = new Set<Namespace>()
  const mountedBefore = await isMounted(netnsFolder)
  const remove = async (namespace: Namespace): Promise<void> => {
    if (!present.delete(namespace)) return
    await runCommand(['ip', 'netns', 'delete', namespace.name])
  }
  return {
    async create(label, { signal } = {}) {
      const name = `${run.name}-${label}`
      // Not abortable between the kernel's doing and our knowing, else nobody would remove it.
      signal?.throwIfAborted()
      await runCommand(['ip', 'netns', 'add', name])
      const path = join(netnsFolder, name)
      const { ino } = await stat(path)
      const namespace: Namespace = {
        name,
        path,
        inode: ino,
        script: (text, options) =>
          runCommand(insideNamespace(path, ['sh', '-eu']), { input: text, ...options }),
      }
      made.push(namespace)
      present.add(namespace)
      await namespace.script(firstThings, signal ? { signal } : {})
      return namespace
    },
    all: () => made,
    remove,
    async dispose() {
      for (const namespace of [...present].toReversed()) await remove(namespace)
      if (!mountedBefore) await removeNetnsFolder()
    },
  }
}

/** Names in /run/netns that begin with `prefix`. */
export async function namespacesNamed(prefix: string): Promise<string[]> {
  const names = await readdir(netnsFolder).catch(() => [])
  return names.filter((name) => name.startsWith(prefix))
}

/** Removes the namespaces of runs whose process was killed before it could; names are unique. */
export async function removeDeadNamespaces(): Promise<string[]> {
  const removed: string[] = []
  for (const name of await namespacesNamed('potluck-')) {
    const pid = /^potluck-(\d+)-/.exec(name)?.[1]
    if (!pid || (await isAlive(pid))) continue
    await runCommand(['ip', 'netns', 'delete', name]).catch(() => {}) // another run was quicker
    removed.push(name)
  }
  return removed
}

async function isMounted(path: string): Promise<boolean> {
  return (await readMounts()).some(({ at }) => at === path)
}

/** `ip netns add` mounts its folder onto itself, the first time; undone when it is empty again. */
export async function removeNetnsFolder(): Promise<void> {
  if ((await namespacesNamed('')).length > 0) return
  await runCommand(['umount', netnsFolder]).catch(() => {}) // busy: another run has just begun
  await rmdir(netnsFolder).catch(() => {})
}

async function isAlive(pid: string): Promise<boolean> {
  return await stat(join('/proc', basename(pid))).then(
    () => true,
    () => false,
  )
}
