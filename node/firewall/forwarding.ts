/**
 * Containers reach the internet by being forwarded, which a PC does not do by itself. Switched on,
 * it would also forward for the LAN, so the ruleset closes what was closed before; and whoever
 * switched it on says so in a file, so that a node that was killed still knows what to put back.
 */
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const switchPath = '/proc/sys/net/ipv4/ip_forward'

export interface Forwarding {
  /** Whether forwarding is on only because of us, or will be. */
  isOurs(): Promise<boolean>
  /** Switches forwarding on. Idempotent. */
  enable(): Promise<void>
  /** Puts back what was, unless `isUsedByOthers` meanwhile. Idempotent. */
  restore(isUsedByOthers: boolean): Promise<void>
}

/** `notePath` should lie on a tmpfs: a reboot resets the switch as well. */
export function createForwarding({ notePath }: { readonly notePath: string }): Forwarding {
  const isNoted = (): Promise<boolean> =>
    access(notePath).then(
      () => true,
      () => false,
    )
  const isOn = async (): Promise<boolean> => (await readFile(switchPath, 'latin1')).trim() === '1'
  return {
    async isOurs() {
      return (await isNoted()) || !(await isOn())
    },
    async enable() {
      if (await isOn()) return
      // The note first: a kill in between must not make it look like another's doing.
      await mkdir(dirname(notePath), { recursive: true, mode: 0o700 })
      await writeFile(notePath, 'net.ipv4.ip_forward was 0\n', { mode: 0o600 })
      await writeFile(switchPath, '1\n')
    },
    async restore(isUsedByOthers) {
      if (!(await isNoted())) return
      if (!isUsedByOthers) await writeFile(switchPath, '0\n')
      await rm(notePath, { force: true })
    },
  }
}
