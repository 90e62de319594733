/** A scenario as a test: its network, its seed in the title's place, and what must hold at the end. */
import { expect } from 'chai'
import { type ChaosNetwork, startChaosNetwork } from './network.ts'
import { createRandom, seedOfRun } from './random.ts'
import { type Convergence, runScenario } from './scenario.ts'
import { createTenant } from './tenant.ts'
import { createWatcher, type Watcher } from './watcher.ts'

const nodes = 4
/** Lease and skew, twice (the second from the end of the window), the window, a deployment. */
const deadlineMs = 2 * 17_000 + 10_000 + 40_000

/** Registers the tests of one run. `CHAOS_SEED` repeats one, `CHAOS_KEEP` a folder for logs. */
export function chaosRun({ kills }: { readonly kills: number }): void {
  const random = createRandom(seedOfRun())
  const tell = (text: string): void => {
    process.stderr.write(`chaos ${random.seed}: ${text}\n`)
  }
  let network: ChaosNetwork
  let watcher: Watcher
  let convergences: readonly Convergence[] = []

  before(async () => {
    tell(`a network of ${nodes} nodes; CHAOS_SEED=${random.seed} repeats its draws`)
    const simulated = { engine: 'simulated', reconnectWindow: '10s', download: '8mbit' } as const
    network = await startChaosNetwork({ ...simulated, nodes })
  })
  after(async () => {
    await watcher?.stop()
    await network?.stop()
  })

  it(`comes to the desired state after each of ${kills} kills`, async () => {
    const tenant = createTenant(network.facts)
    watcher = createWatcher(tenant)
    const init = { kills, random, tell, deadlineMs }
    convergences = await runScenario(init, { network, tenant, watcher })
    const ms = convergences.map((it) => it.ms).sort((a, b) => a - b)
    tell(`median ${ms[Math.floor(ms.length / 2)]} ms, longest ${ms.at(-1)} ms`)
    expect(convergences.length).to.be.greaterThan(kills / 3)
  })
  it('never served a slot twice, and no epoch went down', () => {
    expect(watcher.breaches).to.deep.equal([])
  })
}
