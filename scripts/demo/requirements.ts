/** What the demo needs of this machine, so that it says so in one line instead of failing halfway. */
import { PotluckError } from '../../protocol/errors.ts'
import { type Machine, missingPrograms } from '../street/machine.ts'

/** Program → Debian package. */
const programs = {
  dockerd: 'docker.io',
  containerd: 'containerd',
  'docker-registry': 'docker-registry',
  ip: 'iproute2',
  iptables: 'iptables',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  perl: 'perl-base',
} as const

/** @throws {PotluckError} DEMO_NOT_HERE names what is missing, and the package that brings it. */
export function requireMachine(machine: Machine): void {
  const missing = missingOf(machine)
  if (missing) throw new PotluckError('DEMO_NOT_HERE', `the demo needs ${missing}`)
}

/** What is missing, as the end of "the demo needs …"; undefined when nothing is. */
export function missingOf({ platform, uid, path }: Machine): string | undefined {
  if (platform !== 'linux') return 'Linux: its nodes run real engines'
  if (uid !== 0) {
    return 'root: each node gets a network namespace and a Docker engine of its own'
  }
  return missingPrograms(programs, path)
}
