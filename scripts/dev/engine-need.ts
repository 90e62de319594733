/** Whether real engines can be had here; if not, what is missing, in one line. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { PotluckError } from '../../protocol/errors.ts'

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

type Machine = Readonly<{ platform: string; uid: number | undefined; path: string }>

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
  const absent = Object.entries(programs).filter(([program]) => !isInPath(program, path))
  if (absent.length === 0) return undefined
  const packages = [...new Set(absent.map(([, name]) => name))]
  const names = absent.map(([program]) => program).join(', ')
  return `${names} (Debian: apt-get install --no-install-recommends ${packages.join(' ')})`
}

function isInPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
