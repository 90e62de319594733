/** Whether real engines can be had here; if not, what is missing, in one line. */
import { PotluckError } from '../../protocol/errors.ts'
import { type Machine, missingPrograms } from '../street/machine.ts'

/** Program → Debian package. */
const programs = {
  dockerd: 'docker.io',
  containerd: 'containerd',
  'docker-registry': 'docker-registry',
  busybox: 'busybox-static',
  ip: 'iproute2',
  iptables: 'iptables',
  nsenter: 'util-linux',
} as const

/** @throws {PotluckError} DEV_NO_ENGINE */
export function requireEngines(machine: Machine): void {
  const missing = missingForEngines(machine)
  if (missing === undefined) return
  throw new PotluckError(
    'DEV_NO_ENGINE',
    `real engines need ${missing}; without them: potluck dev --engine simulated`,
  )
}

/** What is missing, as the end of "real engines need …"; undefined when nothing is. */
export function missingForEngines({ platform, uid, path }: Machine): string | undefined {
  if (platform !== 'linux') return 'Linux'
  if (uid !== 0) return 'root (network namespaces, dockerd)'
  return missingPrograms(programs, path)
}
