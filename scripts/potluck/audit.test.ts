/** `potluck audit` on real folders: what it finds, what it prints, how it exits. */
import { EventEmitter } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { openAuditLog } from '../../coordinator/audit/index.ts'
import { auditHeadCodec } from '../../protocol/audit/index.ts'
import type { Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createNetwork, formatNetworkFile, type Network } from '../../protocol/network/index.ts'
import { createTermKeeper, openTermCertificate } from '../../protocol/orders/index.ts'
import { openPeerAuditHeads } from '../../protocol/peer/audit-heads.ts'
import { createSigner, type Signer } from '../../protocol/signing/index.ts'
import { createLevelStore } from '../../protocol/store/index.ts'
import { main } from './main.ts'

async function potluck(...args: string[]) {
  let stdout = ''
  let stderr = ''
  const code = await main(['audit', ...args], {
    env: {},
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    events: Object.assign(new EventEmitter(), { exit: () => {} }),
    processes: [],
    exitCode: 0,
  })
  return { code, stdout, stderr }
}

describe('potluck audit', () => {
  let folder: string
  let network: Network
  let signer: Signer
  const at = (name: string): string => join(folder, name)
  const withStore = async (
    use: (store: Awaited<ReturnType<typeof createLevelStore>>) => Promise<void>,
  ) => {
    const store = await createLevelStore({ path: join(at('data'), 'store') })
    await use(store)
    await store.close()
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'potluck-audit-'))
    const made = await createNetwork({ name: 'test', coordinatorAddrs: [], issuedMs: 1 })
    network = made.network
    await writeFile(
      at('network.json'),
      formatNetworkFile({ ...network, coordinatorAddrs: ['/ip4/127.0.0.1/tcp/1'] }),
    )
    signer = createSigner(made.orderSeed)
    const { network: name, certificate } = network
    await withStore(async (store) => {
      const audit = await openAuditLog(
        { network: name, term: 1 as Term, certificate },
        { store, signer, nowMs: () => 1_700_000_000_000, logger: silentLogger },
      )
      await audit.record(
        ['first', 'second', 'third'].map((slot) => {
          return { kind: 'allocation' as const, by: 'coordinator', facts: { slot } }
        }),
      )
    })
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('passes a whole log, from the folder and from an exported file, and lists it', async () => {
    const pin = ['--network', at('network.json'), '--json']
    const whole = { ok: true, entries: 3, newest: 3, lost: 0 }
    const verdict = await potluck('verify', '--data-dir', at('data'), ...pin)
    expect({ ...verdict, stdout: JSON.parse(verdict.stdout) }).to.deep.equal({
      code: 0,
      stdout: whole,
      stderr: '',
    })
    expect(await potluck('export', '--data-dir', at('data'), '--out', at('log'))).to.include({
      code: 0,
    })
    const again = await potluck('verify', '--file', at('log'), ...pin)
    expect(JSON.parse(again.stdout)).to.deep.equal(whole)
    const listed = await potluck('ls', '--file', at('log'))
    expect(listed.stdout.split('\n')).to.have.length(4)
    expect(listed.stdout).to.contain('allocation by coordinator slot=second')
    expect((await potluck('export', '--data-dir', at('data'), '--out', at('log'))).code).to.equal(1)
  })

  it('names the first bad entry, and exits with 1', async () => {
    await withStore((store) => store.delete(`audit/${'2'.padStart(16, '0')}`))
    const pin = ['--network', at('network.json')]
    const damaged = await potluck('verify', '--data-dir', at('data'), ...pin)
    expect(damaged.code).to.equal(1)
    expect(damaged.stdout).to.contain('entry 2')
    await potluck('export', '--data-dir', at('data'), '--out', at('log'))
    const bytes = await readFile(at('log'))
    await writeFile(at('log'), bytes.subarray(0, bytes.length - 1))
    expect((await potluck('verify', '--file', at('log'), ...pin)).code).to.equal(1)
  })

  it('holds the log to the head that a node keeps', async () => {
    const node = await createLevelStore({ path: join(at('node'), 'state') })
    const keeper = createTermKeeper(network, network.certificate)
    const heads = await openPeerAuditHeads({ store: node, keeper })
    const { term } = openTermCertificate(network.certificate, network)
    const facts = { v: 1, network: network.network, term, issuedMs: 1 } as const
    const head = { ...facts, number: 2, hash: new Uint8Array(32).fill(1) }
    await heads.take(signer.sign('audit-head', auditHeadCodec.encode(head)))
    await node.close()
    const kept = await potluck('head', '--data-dir', at('node'))
    await writeFile(at('head'), kept.stdout)
    const pin = ['--network', at('network.json'), '--head', at('head')]
    const verdict = await potluck('verify', '--data-dir', at('data'), ...pin)
    expect(verdict.code).to.equal(1)
    expect(verdict.stdout).to.contain('entry 2: it is not the one that was signed')
  })

  it('says what is missing on the command line', async () => {
    const pin = ['--network', at('network.json')]
    expect((await potluck('verify', ...pin)).code).to.equal(2)
    const nowhere = await potluck('verify', '--data-dir', at('nowhere'), ...pin)
    expect(nowhere.code).to.equal(2)
    expect(nowhere.stderr).to.contain(at('nowhere'))
    expect((await potluck('head', '--data-dir', at('data'))).code).to.equal(2)
  })
})
