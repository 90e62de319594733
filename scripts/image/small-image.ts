/**
 * A real image of about one megabyte: a static busybox, a script that prints a line a second, and a
 * web page. For tests, and for the reference that `potluck dev` offers to be deployed at once.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { PotluckError } from '../../protocol/errors.ts'
import type { TarEntry } from '../../protocol/tar/index.ts'
import { findProgram } from '../street/machine.ts'
import { buildImage, type Image } from './image.ts'
import { layerOfEntries } from './layer.ts'
import type { ImageFormat } from './media-types.ts'

export const smallImagePort = 8080

// Names of variables, not their values: what a container prints goes into logs. The web server
// listens on IPv6 and IPv4, or on IPv4 alone where the container has no IPv6.
const script = `#!/bin/sh
trap 'echo potluck: stopping; exit 0' TERM INT
port=\${PORT:-${smallImagePort}}
httpd -p "[::]:$port" -h /www 2>/dev/null || httpd -p "0.0.0.0:$port" -h /www
names=$(env | cut -d= -f1 | sort | tr '\\n' ' ')
second=0
while true; do
  second=$((second + 1))
  echo "potluck: line $second of $(hostname), environment: $names"
  sleep 1 & wait $!
done
`
const page = 'Hello from Potluck.\n'
const hostPage = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
hostname
`

export async function smallImage({
  format = 'docker',
  version = 1,
}: {
  readonly format?: ImageFormat
  /** Another number, another top layer; the layer below is shared. */
  readonly version?: number
} = {}): Promise<Image> {
  const busybox = findBusybox()
  const base = await layerOfEntries([
    ...['bin', 'etc', 'tmp', 'www', 'www/cgi-bin', 'proc', 'sys', 'dev'].map(
      (name): TarEntry => ({ name, type: 'directory', mode: name === 'tmp' ? 0o1777 : 0o755 }),
    ),
    { name: 'bin/busybox', mode: 0o755, data: readFileSync(busybox) },
    ...applets(busybox).map(
      (name): TarEntry => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' }),
    ),
    { name: 'etc/passwd', data: 'root:x:0:0:root:/:/bin/sh\n' },
    { name: 'etc/group', data: 'root:x:0:\n' },
  ])
  const app = await layerOfEntries([
    { name: 'start', mode: 0o755, data: script },
    { name: 'www/index.html', data: page },
    { name: 'www/version', data: `${version}\n` },
    { name: 'www/cgi-bin/host', mode: 0o755, data: hostPage },
  ])
  return buildImage({
    layers: [base, app],
    format,
    config: {
      Cmd: ['/start'],
      Env: ['PATH=/bin'],
      ExposedPorts: { [`${smallImagePort}/tcp`]: {} },
    },
  })
}

function findBusybox(): string {
  const found = findProgram('busybox', process.env.PATH ?? '')
  if (found) return found
  throw new PotluckError('NO_BUSYBOX', 'busybox is missing; install busybox-static')
}

function applets(busybox: string): string[] {
  const list = execFileSync(busybox, ['--list'], { encoding: 'utf8' })
  return list.split('\n').filter((name) => name && name !== 'busybox')
}
