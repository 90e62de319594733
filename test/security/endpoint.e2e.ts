/**
 * The loopback endpoint serves its own engine and nobody else, while a slow pull keeps it open: not
 * another user of the machine, not a web page, not a container, not who knows a password of a pull
 * that is over, nor, with the right one, anything but this pull's digests.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { createInterface, type Interface } from 'node:readline'
import { expect } from 'chai'
import {
  buildImage,
  type Image,
  pushImage,
  randomLayer,
  smallImage,
} from '../../scripts/image/index.ts'
import { runVariable } from '../../scripts/street/processes.ts'
import { runCommand } from '../../scripts/street/run-command.ts'
import type { Member } from '../chaos/member.ts'
import { until } from './api.ts'
import { describeWithEngines } from './needs.ts'
import { startTarget, type Target } from './target.ts'

/** Of the node's download: a megabyte is there at once, ten take long enough. */
const download = '3200kbit'
const slowBytes = 24 << 20
const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups --'.split(' ')

/**
 * Prints the request lines and headers that go over loopback, as only root can see them: how the
 * test, and no attacker, learns passwords. Frames of 64 KiB: loopback's are long.
 */
const sniffer = `
use Socket; $| = 1;
socket(my $s, 17, 3, 0x0300) or die "socket: $!";
print "ready\\n";
while (sysread($s, my $frame, 65536)) {
  next unless $frame =~ m{(GET|HEAD) (/v2/\\S*) HTTP.*?Host: (\\S+)}s;
  my ($path, $host) = ($2, $3);
  print "$host $path ", ($frame =~ /Authorization: (Basic \\S+)/ ? $1 : '-'), "\\n";
}`

type Seen = Readonly<{ host: string; path: string; authorization: string }>

describeWithEngines('the loopback endpoint', ['curl', 'skopeo', 'setpriv', 'perl'], function () {
  this.timeout(180_000)
  let target: Target
  let node: Member
  let sniffing: ChildProcess
  let lines: Interface
  const seen: Seen[] = []
  /** Of a pull that is over, and of the one that goes on. */
  let stale: Seen
  let now: Seen

  before(async () => {
    target = await startTarget({ engine: 'docker', nodes: 1, download })
    node = target.nodes[0]!
    await target.reconfigure(node, (settings) => {
      settings.lend = { allocations: 2 }
    })
    const [file = '', ...args] = target.insideNode(node, ['perl', '-e', sniffer])
    sniffing = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, [runVariable]: target.run.name },
    })
    lines = createInterface({ input: sniffing.stdout! })
    await once(lines, 'line')
    lines.on('line', (line) => {
      const [host = '', path = '', ...rest] = line.split(' ')
      seen.push({ host, path, authorization: rest.join(' ') })
    })
    const small = await smallImage()
    await deploy('quick', small)
    await target.api.running('quick', 1)
    stale = await until_(
      ({ path, authorization }) => /manifests/.test(path) && authorization !== '-',
    )
    seen.length = 0
    const secret = await randomLayer({ sizeBytes: slowBytes, seed: 'slow' })
    const config = { Cmd: ['/start'], Env: ['PATH=/bin'] }
    await deploy(
      'slow',
      buildImage({ layers: [...small.layers, secret], config, format: 'docker' }),
    )
    now = await until_(({ path, authorization }) => /manifests/.test(path) && authorization !== '-')
  })
  after(async () => {
    lines?.close()
    sniffing?.kill('SIGKILL')
    await target?.stop()
  })

  const deploy = async (name: string, image: Image): Promise<void> => {
    await pushImage(image, { registry: target.registry.url, repository: name })
    const reference = `${target.registry.address}/${name}:latest`
    const container = { image: reference, resources: { cpu: 1, memory: 1_024 } }
    await target.api.create({ name, container })
  }
  const until_ = async (test: (seen: Seen) => boolean): Promise<Seen> => {
    await until('the engine asked', () => seen.some(test))
    return seen.find(test)!
  }
  /** Status that curl gets in the node's network as another user; 0: no answer at all. */
  const curl = async (
    url: string,
    headers: readonly string[] = [],
    as = nobody,
  ): Promise<number> => {
    const options = ['-s', '-o', '/dev/null', '-m', '3', '-w', '%{http_code}']
    const all = headers.flatMap((header) => ['-H', header])
    const command = target.insideNode(node, [...as, 'curl', ...options, ...all, url])
    const script = 'exec "$@" || true'
    return Number(
      await runCommand(['sh', '-c', `${script}; true`, 'sh', ...command]).catch(() => '0'),
    )
  }
  const own = (): string => `Authorization: ${now.authorization}`
  const base = (): string => `http://${now.host}`
  const paths = (): string[] => [
    '/v2/',
    now.path,
    now.path.replace('manifests', 'blobs'),
    '/',
    '/v2/_catalog',
  ]

  it('answers its engine: what is refused below is there', async () => {
    expect(await curl(`${base()}${now.path}`, [own()], [])).to.equal(200)
    const state = (await target.api.instances('slow'))[0]?.state
    expect(state).to.be.oneOf(['downloading', 'creating', 'allocating'])
    const listening = await runCommand(target.insideNode(node, ['ss', '-Hltn']))
    expect(listening).to.contain(` ${now.host} `)
  })

  it('refuses another user of the machine', async () => {
    for (const path of paths()) {
      expect(await curl(`${base()}${path}`), path).to.equal(401)
      const guess = Buffer.from('potluck:').toString('base64')
      expect(await curl(`${base()}${path}`, [`Authorization: Basic ${guess}`]), path).to.equal(401)
    }
    for (const method of ['inspect --raw', 'inspect --config']) {
      const reference = `docker://${now.host}/bundle@${now.path.split('/').at(-1)}`
      const skopeo = ['skopeo', ...method.split(' '), '--tls-verify=false', reference]
      const command = target.insideNode(node, [...nobody, 'env', 'HOME=/tmp', ...skopeo])
      const error = await runCommand(command).then(
        () => expect.fail('skopeo got it'),
        (reason: Error) => reason,
      )
      expect(String(error)).to.match(/unauthorized|authentication required/i)
    }
  })

  it('refuses a web page, also one whose name leads here', async () => {
    for (const host of ['evil.example', `localhost:${now.host.split(':')[1]}`, '127.0.0.1', '']) {
      for (const more of [[], [own()]]) {
        const headers = [`Host: ${host}`, 'Origin: http://evil.example', ...more]
        const status = await curl(`${base()}${now.path}`, headers)
        expect(status, host).to.be.oneOf(host === '' ? [400, 421] : [421])
      }
    }
    const preflight = ['Origin: http://evil.example', 'Access-Control-Request-Method: GET']
    const options = [
      ...nobody,
      'curl',
      '-s',
      '-i',
      '-X',
      'OPTIONS',
      ...preflight.flatMap((it) => ['-H', it]),
    ]
    const answer = await runCommand(target.insideNode(node, [...options, `${base()}${now.path}`]))
    expect(answer).to.match(/^HTTP\/1\.1 401/)
    expect(answer.toLowerCase()).to.not.contain('access-control-allow')
  })

  it('refuses the password of a pull that is over, and that endpoint is gone', async () => {
    expect(
      await curl(`http://${stale.host}${stale.path}`, [`Authorization: ${stale.authorization}`]),
    ).to.equal(0)
    for (const path of [...paths(), stale.path]) {
      expect(await curl(`${base()}${path}`, [`Authorization: ${stale.authorization}`])).to.equal(
        401,
      )
    }
  })

  it('knows no digest but those of its pull, whoever asks', async () => {
    const none = `sha256:${'0'.repeat(64)}`
    for (const path of [
      stale.path,
      `/v2/bundle/blobs/${none}`,
      `/v2/bundle/manifests/${none}`,
      '/v2/bundle/manifests/latest',
      '/v2/_catalog',
      '/v2/bundle/tags/list',
      '/v2/bundle/blobs/../../../etc/passwd',
    ]) {
      expect(await curl(`${base()}${path}`, [own()]), path).to.equal(404)
    }
  })

  it('is out of reach for a container of the same node', async () => {
    const docker = target.engineOf(node)
    const [container] = await docker.listContainers()
    const { State, NetworkSettings } = await docker.getContainer(container!.Id).inspect()
    const [network] = Object.values(NetworkSettings.Networks)
    const inside = ['nsenter', `--net=/proc/${State.Pid}/ns/net`, '--']
    const port = now.host.split(':')[1]
    const addresses = await runCommand(target.insideNode(node, ['ip', '-4', '-o', 'address']))
    const hosts = [...addresses.matchAll(/inet (\S+?)\//g)].map(([, address]) => address)
    expect(hosts).to.include(network?.Gateway)
    for (const host of hosts) {
      const options = ['-s', '-o', '/dev/null', '-m', '2', '-H', own(), '-H', `Host: ${now.host}`]
      const command = [...inside, 'curl', ...options, `http://${host}:${port}${now.path}`]
      const outcome = await runCommand(command).then(
        () => 'answered',
        () => 'none',
      )
      expect(outcome, host).to.equal('none')
    }
  })

  it('keeps the engine, the guard and all folders to its own user', async () => {
    const folder = target.folderOf(node)
    const socket = `${folder}/run/engine/docker.sock`
    const ping = ['curl', '-s', '-m', '3', '--unix-socket', socket, 'http://d/_ping']
    expect(await runCommand(ping)).to.equal('OK')
    expect(await runCommand([...nobody, ...ping]).catch(() => 'refused')).to.equal('refused')
    const files = await runCommand(['find', folder, '-maxdepth', '3', '-type', 's'])
    const sockets = files.split('\n').filter(Boolean)
    expect(sockets.some((path) => path.endsWith('guard.sock'))).to.equal(true)
    for (const path of [folder, `${folder}/run`, `${folder}/run/engine`, `${folder}/run/keys`]) {
      expect(((await stat(path)).mode & 0o077).toString(8), path).to.equal('0')
    }
    // Each on its own too, should a folder above be opened by hand.
    for (const path of [`${folder}/identity.key`, `${folder}/run/guard.cbor`, socket]) {
      expect(((await stat(path)).mode & 0o077).toString(8), path).to.equal('0')
    }
    for (const { name } of target.all) {
      const list = ['find', target.folderOf({ name } as Member)]
      expect(await runCommand([...nobody, ...list]).catch(() => 'refused')).to.equal('refused')
    }
  })

  it('was open all the while', async () => {
    expect(await curl(`${base()}/v2/`, [own()], [])).to.equal(200)
  })
})
