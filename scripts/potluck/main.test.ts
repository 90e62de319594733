/** The binary as its users meet it: words in, text and exit codes out. */
import { spawn, spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { identityFromSeed, loadSeed } from '../../protocol/identity/index.ts'
import { readNetworkFile } from '../../protocol/network/index.ts'
import { createTermKeeper } from '../../protocol/orders/index.ts'
import { pantryEntry } from './cli.fixture.ts'
import { main } from './main.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'potluck-cli-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function potluck(args: readonly string[], env: Record<string, string> = {}) {
  let stdout = ''
  let stderr = ''
  const code = await main(args, {
    env,
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    events: Object.assign(new EventEmitter(), { exit: () => {} }),
    processes: [pantryEntry],
    exitCode: 0,
  })
  return { code, stdout, stderr }
}

describe('potluck: command line', () => {
  it('prints version and help on stdout, with examples', async () => {
    expect(await potluck(['--version'])).to.deep.include({ code: 0, stdout: '0.1.0\n', stderr: '' })
    const help = await potluck(['--help'])
    expect(help.code).to.equal(0)
    expect(help.stdout).to.contain('Examples:').and.contain('network').and.contain('pantry')
    const run = await potluck(['pantry', 'run', '--help'])
    expect(run.stdout)
      .to.contain('env: POTLUCK_PANTRY_PORT')
      .and.contain('potluck pantry run --port')
    expect(run.stdout).to.contain('--log-level').and.contain('--config <file>')
  })

  const wrong: [string[], string][] = [
    [['pantri', 'run'], 'Did you mean pantry?'],
    [['pantry', 'rum'], 'Did you mean run?'],
    [['pantry', 'run', '--prt', '1'], 'Did you mean --port?'],
    [['pantry', 'run', '--port', 'x'], 'port (flag --port): "x" is not valid'],
    [['pantry', 'run', '--log-level', 'loud'], 'one of trace, debug, info, warn, error'],
    [['pantry', 'run', '--config', '/none.toml'], 'file /none.toml'],
    [['dev', '--nodes', '0'], '--nodes 0 is not valid; give a whole number from 1 to 50'],
    [['dev', '--engine', 'real'], 'Allowed choices are docker, simulated'],
    [['network', 'create'], '--coordinator-address is required'],
    [['network', 'create', '--coordinator-address', 'x'], 'TCP multiaddr'],
    [
      ['network', 'create', '--coordinator-address', '/ip4/1.2.3.4/tcp/1', '--name', 'A b'],
      '--name "A b"',
    ],
  ]
  for (const [args, text] of wrong) {
    it(`exits 2 and says what is valid: ${args.join(' ')}`, async () => {
      const { code, stdout, stderr } = await potluck(args)
      expect(code).to.equal(2)
      expect(stderr).to.contain(text)
      expect(stdout).to.equal('')
    })
  }

  it('names an environment variable that is no setting, but takes the one of --config', async () => {
    const { code, stderr } = await potluck(['pantry', 'run'], { POTLUCK_PANTRY_PROT: '1' })
    expect(code).to.equal(2)
    expect(stderr).to.contain('did you mean POTLUCK_PANTRY_PORT?')
    const file = join(folder, 'p.toml')
    writeFileSync(file, 'port = "x"')
    const other = await potluck(['pantry', 'run'], { POTLUCK_PANTRY_CONFIG: file })
    expect(other.stderr).to.contain(`file ${file}`).and.not.contain('no such setting')
  })

  it('tells a failed start in one line, and its causes with --verbose', async () => {
    const args = ['pantry', 'run', '--mode', 'start', '--log-level', 'error']
    const short = await potluck(args)
    expect(short.code).to.equal(1)
    expect(short.stderr).to.equal('potluck: no flour (mice); run it with --verbose for more\n')
    const long = await potluck([...args, '--verbose'])
    expect(long.stderr).to.match(/potluck: Error: no flour[\s\S]*because: Error: mice/)
  })
})

describe('potluck network create', () => {
  const address = '/dns4/coordinator.example.net/tcp/4001'
  const create = (...more: string[]) =>
    potluck(['network', 'create', '--dir', folder, '--coordinator-address', address, ...more])

  it('writes a network file that peers accept, and keys that only their owner reads', async () => {
    const { code, stdout } = await create('--name', 'kitchen', '--json')
    expect(code).to.equal(0)
    const result = JSON.parse(stdout)
    const network = await readNetworkFile(result.networkFile)
    expect(network).to.deep.include({ name: 'kitchen', coordinatorAddrs: [address] })
    expect(result).to.include({ network: network.network, name: 'kitchen' })
    const identity = await identityFromSeed(
      await loadSeed(join(folder, 'coordinator/identity.key')),
    )
    expect(result.coordinator).to.equal(identity.peer)
    for (const key of ['root.key', 'coordinator/identity.key', 'coordinator/order.key']) {
      expect(statSync(join(folder, key)).mode & 0o777, key).to.equal(0o600)
      const hex = readFileSync(join(folder, key), 'latin1').trim()
      expect(readFileSync(result.networkFile, 'latin1') + stdout).not.to.contain(hex)
    }
  })

  it('never overwrites a network', async () => {
    await create()
    const before = readFileSync(join(folder, 'root.key'), 'latin1')
    const { code, stderr } = await create()
    expect(code).to.equal(1)
    expect(stderr).to.contain('is there already')
    expect(readFileSync(join(folder, 'root.key'), 'latin1')).to.equal(before)
    rmSync(join(folder, 'network.json'))
    expect((await create()).code, 'a root key alone is enough to stop').to.equal(1)
    expect(readdirSync(folder)).to.not.include('network.json')
  })
})

describe('potluck network term', () => {
  const address = '/ip4/127.0.0.1/tcp/4001'
  const term = (...more: string[]) => potluck(['network', 'term', '--dir', folder, ...more])

  beforeEach(async () => {
    const args = ['network', 'create', '--dir', folder, '--coordinator-address', address]
    expect((await potluck(args)).code).to.equal(0)
  })

  it('raises the term, with another order key, in a file that peers accept', async () => {
    const orderKey = join(folder, 'coordinator/order.key')
    const before = readFileSync(orderKey, 'latin1')
    const first = await readNetworkFile(join(folder, 'network.json'))
    const { code, stdout } = await term('--json')
    expect(code).to.equal(0)
    expect(JSON.parse(stdout)).to.include({ term: 2, network: first.network })
    const raised = await readNetworkFile(join(folder, 'network.json'))
    expect(raised.rootKey).to.deep.equal(first.rootKey)
    const keeper = createTermKeeper(first, first.certificate)
    expect(keeper.offer(raised.certificate)).to.equal(true)
    expect(keeper.term).to.equal(2)
    expect(readFileSync(orderKey, 'latin1')).to.not.equal(before)
    expect(readFileSync(`${orderKey}.term-1`, 'latin1')).to.equal(before)
    expect(statSync(orderKey).mode & 0o777).to.equal(0o600)
    expect(JSON.parse((await term('--term', '7', '--json')).stdout).term).to.equal(7)
  })

  it('never lowers it, and takes no other network’s root key', async () => {
    const before = readFileSync(join(folder, 'network.json'), 'latin1')
    const low = await term('--term', '1')
    expect(low.code).to.equal(1)
    expect(low.stderr).to.contain('the network file is of term 1')
    const other = join(folder, 'other.key')
    writeFileSync(other, `${'ab'.repeat(32)}\n`)
    const wrong = await term('--root-key', other)
    expect(wrong.code).to.equal(1)
    expect(wrong.stderr).to.contain('the root key is not that of network')
    expect((await term('--term', 'x')).code).to.equal(2)
    expect(readFileSync(join(folder, 'network.json'), 'latin1')).to.equal(before)
  })
})

describe('potluck as a process', () => {
  const fixture = new URL('./cli.fixture.ts', import.meta.url).pathname

  function start(...args: string[]) {
    const child = spawn(process.execPath, [fixture, 'pantry', 'run', ...args], {
      env: { ...process.env, POTLUCK_PANTRY_PORT: '4242' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const closed = once(child, 'close').then(([code, signal]) => ({ code, signal, stderr }))
    return { child, lines: createInterface({ input: child.stdout }), closed }
  }

  it('prints one JSON line when ready, logs JSON to stderr, exits 0 on SIGTERM', async () => {
    const { child, lines, closed } = start('--json')
    const [line] = await once(lines, 'line')
    expect(JSON.parse(line)).to.deep.include({ process: 'pantry' })
    expect(JSON.parse(line).config.port).to.equal(4242)
    child.kill('SIGTERM')
    const { code, signal, stderr } = await closed
    expect({ code, signal }).to.deep.equal({ code: 0, signal: null })
    const messages = stderr
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text).msg)
    expect(messages).to.deep.equal(['ready', 'stopping', 'stopped'])
  })

  it('exits 1 after a rejection that nothing caught', async () => {
    const { closed } = start('--mode', 'fault')
    const { code, stderr } = await closed
    expect(code).to.equal(1)
    expect(stderr).to.contain('nobody caught me').and.contain('"msg":"stopped"')
  })

  it('runs from a link elsewhere, whatever node is in PATH', () => {
    const link = join(folder, 'potluck')
    symlinkSync(new URL('../bin/potluck', import.meta.url).pathname, link)
    const { stdout, status } = spawnSync(link, ['--version'], {
      cwd: folder,
      env: { PATH: '/usr/bin:/bin' },
      encoding: 'utf8',
    })
    expect({ stdout, status }).to.deep.equal({ stdout: '0.1.0\n', status: 0 })
  })
})
