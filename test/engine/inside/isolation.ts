/**
 * A hostile container against a home: everything of the home is tried, over IPv4 and IPv6, TCP and
 * UDP, and must not answer; the internet must. Then the proof that these tests could fail: without
 * the rules the same probes get through, and the check after a start says so.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import Docker from 'dockerode'
import { testNode, testSpec } from '../../../node/engine/engine.conformance.ts'
import type { ContainerSpec, ObservedContainer } from '../../../node/engine/engine.ts'
import { type FakeEndpoint, startFakeEndpoint } from '../../../node/engine/fake-endpoint.ts'
import { createDockerEngine } from '../../../node/engine/index.ts'
import { describeError, errorCode } from '../../../protocol/errors.ts'
import { silentLogger } from '../../../protocol/log/index.ts'
import { internet, lan, lan6, mailPort, port, publicLan } from '../home.ts'
import { bridges, busyboxImage, createFolders, createRig, type Rig } from './rig.ts'

const run = promisify(execFile)
const canary = 'CANARY-env-9d27c1'
const servicePort = 7071
const neighbour = `--net=${process.env.TEST_NEIGHBOUR}`

/** Tries all targets at once, prints which answered, and stays. */
const attack = `
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status
find / -xdev -name '*.sock' | sed 's/^/socket /'
probe() {
  answer=$(timeout 3 nc -w 2 $1 $2 </dev/null 2>/dev/null)
  case $answer in *reached*) echo "open $1,$2";; *) echo "closed $1,$2";; esac
}
for target in "$@"; do
  probe \${target%,*} \${target##*,} &
done
wait
echo done
sleep 1000
`

describe('a hostile container', function () {
  this.timeout(120_000)
  let rig: Rig
  let endpoint: FakeEndpoint
  let docker: Docker
  let service: Server
  const { signal } = new AbortController()
  const options = { signal }

  before(async () => {
    rig = await createRig(await createFolders())
    docker = new Docker({ socketPath: rig.managed.socketPath })
    endpoint = await startFakeEndpoint((await busyboxImage()).image)
    await rig.engine.pull(endpoint.source, options)
    // A service of the host's, on every address that it has now and gets later.
    service = createServer((socket) => {
      socket.on('error', () => {})
      socket.end('reached\n')
    }).listen(servicePort, '::')
  })
  after(async () => {
    service?.close()
    await endpoint?.close()
    await rig?.stop()
    expect(bridges()).to.deep.equal([])
  })
  afterEach(async () => {
    for (const { id } of await rig.engine.list(options)) {
      await rig.engine.remove(id, { graceMs: 0, signal })
    }
    await rig.firewall.ensure(options)
  })

  function spec(change: Partial<ContainerSpec>): ContainerSpec {
    return testSpec(endpoint, change)
  }

  async function victim(): Promise<{ address: string; gateway: string }> {
    const script = `while :; do echo reached | nc -l -p ${port}; done`
    const { id } = await rig.engine.run(spec({ command: ['/bin/sh', '-c', script] }), options)
    const { NetworkSettings } = await docker.getContainer(id).inspect()
    const [network] = Object.values(NetworkSettings.Networks)
    return { address: network?.IPAddress ?? '', gateway: network?.Gateway ?? '' }
  }

  async function output(container: ObservedContainer): Promise<readonly string[]> {
    const stream = await docker.getContainer(container.id).logs({ follow: true, stdout: true })
    for await (const piece of stream) if (String(piece).includes('done\n')) break
    return rig.engine.logTail(container.id, 500, options)
  }

  async function attacker(targets: readonly string[]): Promise<ObservedContainer> {
    const command = ['/bin/sh', '-c', attack, 'attack', ...targets]
    return rig.engine.run(spec({ command }), options)
  }

  /** busybox has no UDP: a program of ours in the container's network has. */
  async function udpOpen(id: string, targets: readonly string[]): Promise<readonly string[]> {
    const { State } = await docker.getContainer(id).inspect()
    const program = join(import.meta.dirname, 'udp-probe.ts')
    const net = `--net=/proc/${State.Pid}/ns/net`
    const { stdout } = await run('nsenter', [net, process.execPath, program, ...targets])
    return stdout.split('\n').filter(Boolean)
  }

  it('reaches the internet and nothing of the home', async () => {
    const other = await victim()
    const hosts = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ address }) => address !== '127.0.0.1' && address !== '::1')
      .map(({ address }) => (address.startsWith('fe80:') ? `${address}%eth0` : address))
    expect(hosts).to.include.members([lan.home, lan6.home, publicLan.home, other.gateway])
    const closed = [
      ...hosts.map((address) => `${address},${servicePort}`),
      `${other.address},${port}`,
      ...Object.values(lan).map((address) => `${address},${port}`),
      ...Object.values(lan6).map((address) => `${address},${port}`),
      ...Object.values(publicLan).map((address) => `${address},${port}`),
      `169.254.169.254,${servicePort}`,
      `192.168.77.255,${port}`,
      `224.0.0.1,${port}`,
      `${internet},${mailPort}`,
    ]
    const targets = [`${internet},${port}`, ...closed]
    const container = await attacker(targets)
    const lines = await output(container)
    const tcpOpen = lines.filter((line) => line.startsWith('open'))
    expect(tcpOpen).to.deep.equal([`open ${internet},${port}`])
    expect(lines.filter((line) => line.startsWith('closed'))).to.have.length(closed.length)
    // Mail is TCP.
    const mail = `${internet},${mailPort}`
    const udp = await udpOpen(container.id, targets)
    expect(udp.toSorted()).to.deep.equal([mail, `${internet},${port}`])
  })

  it('has few capabilities, no new privileges, a seccomp filter, no engine socket', async () => {
    const lines = await output(await attacker([]))
    expect(lines).to.include.members(['CapEff:\t00000000000004fb', 'NoNewPrivs:\t1', 'Seccomp:\t2'])
    expect(lines.filter((line) => line.startsWith('socket'))).to.deep.equal([])
  })

  it('cannot be called from the LAN, nor by routing through the node', async () => {
    const { address } = await victim()
    const call = ['-w', '2', address, String(port)]
    // The node itself may, as a readiness probe will: the way and the service are there.
    expect((await run('busybox', ['nc', ...call])).stdout).to.contain('reached')
    const route = ['route', 'replace', `${address}/32`, 'via', lan.home]
    await run('nsenter', [neighbour, 'ip', ...route])
    const fromLan = () => run('nsenter', [neighbour, 'busybox', 'nc', ...call]).catch(() => null)
    expect(await fromLan()).to.equal(null)
    await rig.firewall.stop()
    await run('sysctl', ['-q', 'net.ipv4.ip_forward=1'])
    expect((await fromLan())?.stdout).to.contain('reached')
    await run('sysctl', ['-q', 'net.ipv4.ip_forward=0'])
  })

  it('does not turn the node into a router for its LAN', async () => {
    // Forwarding is on for containers; what the neighbour sends through us goes nowhere.
    const route = ['route', 'replace', `${internet}/32`, 'via', lan.home]
    await run('nsenter', [neighbour, 'ip', ...route])
    const call = ['busybox', 'nc', '-w', '2', internet, String(port)]
    const throughUs = () => run('nsenter', [neighbour, ...call]).catch(() => null)
    expect(await throughUs()).to.equal(null)
    const closed = ['FORWARD', '-j', `POTLUCK-CLOSED-${rig.tag}`]
    await run('iptables', ['-D', ...closed])
    expect((await throughUs())?.stdout).to.contain('reached')
    await run('nsenter', [neighbour, 'ip', 'route', 'del', `${internet}/32`])
  })

  it('is found out and removed when the rules do not bite', async () => {
    await rig.firewall.stop()
    const isolation = { ensure: async () => {}, verify: rig.firewall.verify }
    const init = { socketPath: rig.managed.socketPath, node: testNode, managed: true }
    const unguarded = createDockerEngine(init, { logger: silentLogger, isolation })
    const failure: unknown = await unguarded
      .run(spec({ command: ['/bin/sleep', '1000'] }), options)
      .catch((error: unknown) => error)
    await unguarded.close()
    expect(errorCode(failure)).to.equal('ISOLATION_FAILED')
    expect(describeError(failure)).to.contain('reached the host at 198.18.')
    expect(await rig.engine.list(options)).to.deep.equal([])
    expect(bridges()).to.deep.equal([])
  })

  it('would reach the host without the rules: the probes can succeed', async () => {
    const isolation = {
      ensure: async () => {
        await rig.firewall.stop()
      },
      verify: async () => {},
    }
    const init = { socketPath: rig.managed.socketPath, node: testNode, managed: true }
    const unguarded = createDockerEngine(init, { logger: silentLogger, isolation })
    const command = ['/bin/sh', '-c', attack, 'attack', `${lan.home},${servicePort}`]
    const lines = await output(await unguarded.run(spec({ command }), options))
    await unguarded.close()
    expect(lines).to.include(`open ${lan.home},${servicePort}`)
  })

  it('env lies in the engine’s memory files and on no disk', async () => {
    const env = { SECRET: canary, LD_PRELOAD: '/evil.so', NVIDIA_VISIBLE_DEVICES: 'all' }
    const command = ['/bin/sh', '-c', attack.replace('echo done', 'env; echo done')]
    const container = await rig.engine.run(spec({ command, env }), options)
    const lines = await output(container)
    expect(lines).to.include.members([`SECRET=${canary}`, 'NVIDIA_VISIBLE_DEVICES=void'])
    expect(lines.join('\n')).not.to.contain('LD_PRELOAD')
    expect(await filesWith(canary, rig.runDir)).not.to.deep.equal([])
    expect(await onDisk(canary, rig.dataDir)).to.deep.equal([])
  })

  it('rules that another program changed are seen and put back', async () => {
    const egress = `POTLUCK-EGRESS-${rig.tag}`
    expect(await rig.firewall.check(options)).to.deep.equal([])
    const damage: (readonly string[])[] = [
      ['iptables', '-t', 'mangle', '-D', egress, '2'],
      ['iptables', '-t', 'mangle', '-F', 'PREROUTING'],
      ['iptables', '-t', 'mangle', '-I', 'PREROUTING', '-i', 'plk+', '-j', 'ACCEPT'],
      ['iptables', '-t', 'filter', '-F', 'FORWARD'],
      ['iptables', '-t', 'nat', '-F', 'POSTROUTING'],
      ['ip6tables', '-t', 'mangle', '-F', egress],
    ]
    for (const [program = '', ...args] of damage) {
      await run(program, args)
      expect(await rig.firewall.check(options), args.join(' ')).to.have.length(1)
      await rig.firewall.ensure(options)
      expect(await rig.firewall.check(options), args.join(' ')).to.deep.equal([])
    }
    await run('iptables', ['-t', 'mangle', '-D', 'PREROUTING', '-i', 'plk+', '-j', 'ACCEPT'])
  })

  it('stop takes out exactly our rules and puts forwarding back', async () => {
    await rig.firewall.stop()
    const foreign = ['FORWARD', '-s', '192.0.2.1/32', '-j', 'DROP']
    await run('iptables', ['-t', 'mangle', '-A', ...foreign])
    const before = await savedRules()
    await rig.firewall.ensure(options)
    expect((await savedRules()).length).to.be.greaterThan(before.length + 20)
    expect((await run('sysctl', ['-n', 'net.ipv4.ip_forward'])).stdout).to.equal('1\n')
    await rig.firewall.stop()
    expect(await savedRules()).to.deep.equal(before)
    expect((await run('sysctl', ['-n', 'net.ipv4.ip_forward'])).stdout).to.equal('0\n')
    await rig.firewall.stop()
    await run('iptables', ['-t', 'mangle', '-D', ...foreign])
  })
})

async function savedRules(): Promise<readonly string[]> {
  const both = await Promise.all([run('iptables-save'), run('ip6tables-save')])
  return both
    .flatMap(({ stdout }) => stdout.split('\n'))
    .filter((line) => line.startsWith('-A') || line.startsWith(':POTLUCK'))
}

async function filesWith(text: string, folder: string): Promise<readonly string[]> {
  // grep ends with 2 over a socket, whatever it found.
  const script = 'grep -rlsF "$1" "$2"; true'
  const { stdout } = await run('sh', ['-c', script, 'sh', text, folder])
  return stdout.split('\n').filter(Boolean)
}

/** Looks below whatever is mounted, at what the disk itself holds. */
async function onDisk(text: string, folder: string): Promise<readonly string[]> {
  const below = await mkdtemp(join(tmpdir(), 'potluck-below-'))
  const script = 'mount --bind / "$1" && grep -rlsF "$2" "$1$3"; true'
  const { stdout } = await run('unshare', ['-m', 'sh', '-c', script, 'sh', below, text, folder])
  await rm(below, { recursive: true })
  return stdout.split('\n').filter(Boolean)
}
