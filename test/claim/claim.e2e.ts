/** A chef's node is claimed for real: the node's daemon, the coordinator, the operator's command. */
import { EventEmitter } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import {
  createTestNetwork,
  eventually,
  startCoordinator,
  type TestCoordinator,
  type TestNetwork,
} from '../../coordinator/testing/coordinator.ts'
import { configSchema, run } from '../../node/index.ts'
import { loadConfig } from '../../protocol/config/index.ts'
import { createLogger } from '../../protocol/log/index.ts'
import { formatNetworkFile } from '../../protocol/network/index.ts'
import { main } from '../../scripts/potluck/main.ts'

describe('potluck node run --claim', function () {
  this.timeout(60_000)
  let net: TestNetwork
  let coordinator: TestCoordinator
  let folder: string
  let log = ''
  const destination = new PassThrough().on('data', (data) => {
    log += data
  })

  before(async () => {
    net = await createTestNetwork()
    folder = await mkdtemp(join(tmpdir(), 'potluck-claim-'))
    coordinator = await startCoordinator(net)
  })
  after(async () => {
    await coordinator.stop()
    await rm(folder, { recursive: true })
    await net.remove()
  })

  const admin = async (...words: string[]): Promise<string> => {
    let stdout = ''
    let stderr = ''
    const code = await main(['admin', ...words, '--key-file', join(net.dataDir, 'admin-key')], {
      env: { POTLUCK_API: coordinator.origin },
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
    expect(code, stderr).to.equal(0)
    return stdout
  }
  const start = async (claim: string) => {
    const network = join(folder, 'network.json')
    const coordinatorAddrs = coordinator.addresses.map((address) =>
      address.replace(/\/p2p\/.*/, ''),
    )
    await writeFile(network, formatNetworkFile({ ...net.network, coordinatorAddrs }))
    const config = loadConfig({
      schema: configSchema,
      name: 'node',
      env: {},
      flags: {
        ...{ network, claim, 'data-dir': join(folder, 'node'), 'run-dir': join(folder, 'run') },
        ...{ listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, upnp: false, testbed: true },
        ...{ 'engine-kind': 'simulated', 'metrics-port': 0 },
      },
    })
    const controller = new AbortController()
    const logger = createLogger({ name: 'node', level: 'trace', destination })
    const { signal } = controller
    const ready = Promise.withResolvers<Readonly<Record<string, unknown>>>()
    const running = run(config, { signal, logger, onReady: ready.resolve })
    running.catch(ready.reject)
    const info = await ready.promise
    const stop = async (): Promise<void> => {
      controller.abort(new Error('the test is over'))
      await running
    }
    return { info, stop }
  }

  it('binds the node, which shows it, logs no code, and stays bound when it starts anew', async () => {
    await admin('chef', 'create', 'alice')
    const code = (await admin('chef', 'claim', 'alice')).trim()
    for (const round of ['first', 'second']) {
      const { info, stop } = await start(code)
      try {
        await eventually(`the chef's name, ${round}`, async () => {
          const page = await (await fetch(String(info.metrics))).text()
          return page.includes('potluck_node_claimed{chef="alice"} 1')
        })
        const list = await admin('node', 'ls')
        expect(list).to.contain(String(info.peer)).and.contain('alice')
      } finally {
        await stop()
      }
    }
    expect(log).to.contain('this node belongs to a chef').and.not.contain(code)
    expect(log).not.to.contain('could not be claimed')
  })
})
