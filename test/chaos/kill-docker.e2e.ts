/**
 * Targeted kills on real Docker engines: a node's daemon, engine and guard are processes of their
 * own, and each may be gone while the others go on. What the engines themselves show is the proof;
 * random moments are for kill-simulated.e2e.ts.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { ContainerSight } from '../../scripts/demo/engine-view.ts'
import { missingForEngines } from '../../scripts/dev/engine-need.ts'
import { type Image, pushImage } from '../../scripts/image/index.ts'
import { thisMachine } from '../../scripts/street/machine.ts'
import { amissInApi, type Desired } from './desired.ts'
import { createEngineSight, type EngineSight } from './engine-sight.ts'
import type { Member } from './member.ts'
import { type ChaosNetwork, startChaosNetwork } from './network.ts'
import { makeImage, untilFilesGrow } from './slow-image.ts'
import { openSlowLine, type SlowLine } from './slow-line.ts'
import { createTenant, type InstanceSight, type Look, type Tenant } from './tenant.ts'
import { createWatcher, type Watcher } from './watcher.ts'

const missing = missingForEngines(thisMachine(process.env))
const nodeCount = 4
const replicas = 2
/** Takes a node seconds at the rate below, so that it can be killed in the middle. */
const imageBytes = 24 << 20
const download = '48mbit'
/** From the registry to the cache: more than a second for an image. */
const lineBytesPerS = 16 << 20
/** Lease, skew, the window of a restarted coordinator, and a deployment on a busy machine. */
const convergeMs = 90_000
/** Removing an image takes Docker well under a second; several engines share this machine. */
const imagesMs = 15_000
/** Lease, the minute after it, the guard's rounds, and a slow engine. */
const guardMs = 15_000 + 60_000 + 15_000

const title = 'kill -9 on real Docker engines'
;(missing ? describe.skip : describe)(
  missing ? `${title} (skipped: needs ${missing})` : title,
  function () {
    this.timeout(300_000)
    let network: ChaosNetwork
    let tenant: Tenant
    let watcher: Watcher
    let line: SlowLine
    let engines: ReadonlyMap<string, EngineSight>
    let desired: Desired = { name: '', replicas: 0, state: 'deleted' }
    let versions = 0

    before(async () => {
      network = await startChaosNetwork({
        ...{ engine: 'docker', nodes: nodeCount, download, reconnectWindow: '10s' },
        startMs: 180_000,
      })
      const [host = '', port] = network.registry.address.split(':')
      line = await openSlowLine({ host, port: Number(port), bytesPerS: lineBytesPerS })
      tenant = createTenant(network.facts)
      watcher = createWatcher(tenant)
      engines = new Map(
        network.nodes.map(({ name, peer }) => [peer, createEngineSight(network.run, name)]),
      )
    })
    after(async () => {
      await watcher?.stop()
      line?.close()
      await network?.stop()
    })

    /** A new group of a new image; returns as soon as the API has it. */
    const deploy = async (): Promise<Image> => {
      if (desired.name !== '') await remove()
      versions += 1
      const image = await makeImage({
        seed: `chaos-${process.pid}-${versions}`,
        sizeBytes: imageBytes,
      })
      const { url } = network.registry
      const repository = `chaos-${versions}`
      await pushImage(image, { registry: url, repository })
      desired = { name: `group-${versions}`, replicas, state: 'running' }
      watcher.watch(desired.name)
      await tenant.create(desired.name, `${line.address}/${repository}:latest`, replicas)
      return image
    }
    const remove = async (): Promise<void> => {
      desired = { ...desired, state: 'deleted' }
      await tenant.remove(desired.name)
      await converged()
    }
    const containersOf = async (node: string): Promise<readonly ContainerSight[]> =>
      (await engines.get(node)?.containers()) ?? []
    const allContainers = async () =>
      (
        await Promise.all(
          [...engines].map(async ([node, engine]) =>
            (await engine.containers()).map((container) => ({ ...container, node })),
          ),
        )
      ).flat()

    /** What is amiss on the engines: they must hold exactly what the API shows, each once. */
    const amissOnEngines = async (look: Look): Promise<string | undefined> => {
      const shown = look.is === 'there' ? look.instances : []
      const wanted = shown.map(({ id, potluck }) => `${potluck.node} ${id} running`).sort()
      const found = (await allContainers())
        .map(({ node, instance, state }) => `${node} ${instance} ${state}`)
        .sort()
      if (wanted.join() === found.join()) return undefined
      return `the engines hold [${found.join(', ')}], the API shows [${wanted.join(', ')}]`
    }
    /** Resolves when API and engines show exactly what is desired. */
    const converged = async (deadlineMs = convergeMs): Promise<readonly InstanceSight[]> => {
      const startedMs = performance.now()
      for (;;) {
        const { look } = watcher
        const amiss = amissInApi(desired, look) ?? (await amissOnEngines(look))
        if (amiss === undefined) {
          tell(`as desired after ${Math.round(performance.now() - startedMs)} ms`)
          return look.is === 'there' ? look.instances : []
        }
        if (performance.now() - startedMs > deadlineMs) throw new Error(amiss)
        await sleep(200)
      }
    }
    /** The first instance that the API shows in `state`. */
    const until = async (state: string): Promise<InstanceSight> => {
      const look = await watcher.until((seen) => inState(seen, state) !== undefined, convergeMs)
      const instance = look && inState(look, state)
      if (instance) return instance
      throw new Error(`no instance was ever ${state}`)
    }
    const memberOf = ({ potluck }: InstanceSight): Member => {
      const member = network.nodes.find(({ peer }) => peer === potluck.node)
      if (member) return member
      throw new Error(`no node is ${potluck.node}`)
    }
    const restart = async (member: Member): Promise<void> => {
      await member.kill()
      member.start()
      await member.ready(AbortSignal.timeout(60_000))
    }

    it('reads each blob once when the cache is killed in the middle of it', async () => {
      const image = await deploy()
      await untilFilesGrow(join(network.run.path, 'cache'), imageBytes / 4)
      await restart(network.cache)
      await converged()
      const { bytes } = line
      tell(`${bytes} bytes came from the registry for an image of ${image.blobBytes}`)
      const reads = [...network.registry.blobReads().values()].map((read) => read.reads)
      expect(Math.max(...reads), 'the blob that was cut off is gone on with').to.equal(2)
      expect(reads.filter((count) => count > 1)).to.have.length(1)
      expect(bytes / image.blobBytes).to.be.below(1.05)
    })

    it('replaces nothing when the coordinator is killed in the middle of a deployment', async () => {
      await deploy()
      await until('downloading')
      const { look } = watcher
      const before = look.is === 'there' ? look.instances.map(({ id }) => id) : []
      await restart(network.coordinator)
      const after = await converged()
      expect(after.map(({ id }) => id)).to.include.members(before)
    })

    for (const state of ['downloading', 'creating']) {
      it(`goes on with the same instance when a daemon is killed while ${state}`, async () => {
        await deploy()
        const instance = await until(state)
        await restart(memberOf(instance))
        const after = await converged()
        expect(after.map(({ id }) => id)).to.include(instance.id)
      })
    }

    it('adopts the same container when a daemon is killed while running', async () => {
      const [instance] = await converged()
      const [before] = await containersOf(instance!.potluck.node)
      await restart(memberOf(instance!))
      const after = await converged()
      const [now] = await containersOf(instance!.potluck.node)
      expect(now!.id).to.equal(before!.id)
      expect(after.map(({ id }) => id)).to.include(instance!.id)
    })

    it('leaves containers alone when the coordinator is killed while they run', async () => {
      const before = await converged()
      const containers = await allContainers()
      await restart(network.coordinator)
      const after = await converged()
      expect(after.map(({ id }) => id)).to.have.members(before.map(({ id }) => id))
      const idOf = ({ id }: { readonly id: string }): string => id
      expect((await allContainers()).map(idOf)).to.have.members(containers.map(idOf))
    })

    it('has another guard when the guard is killed', async () => {
      const [instance] = await converged()
      const engine = engines.get(instance!.potluck.node)!
      const pid = await engine.guardPid()
      const [before] = await engine.containers()
      process.kill(pid!, 'SIGKILL')
      const deadlineMs = performance.now() + 15_000
      let now: number | undefined
      while (performance.now() < deadlineMs && (now === undefined || now === pid)) {
        await sleep(100)
        now = await engine.guardPid()
      }
      expect(now).to.be.a('number').and.not.equal(pid)
      await converged()
      const [after] = await engine.containers()
      expect(after!.id).to.equal(before!.id)
    })

    it('has the guard stop what a dead and a frozen daemon leave, and the slots elsewhere', async () => {
      const before = await converged()
      const [dead, frozen] = before.map(memberOf)
      const startedMs = performance.now()
      await dead!.kill()
      frozen!.signal('SIGSTOP')
      const moved = await watcher.until(
        (look) => look.is === 'there' && isMoved(look.instances, before),
        convergeMs,
      )
      expect(moved, 'the slots run elsewhere under a higher epoch').to.not.equal(undefined)
      tell(`moved after ${Math.round(performance.now() - startedMs)} ms`)
      // The guards end what the daemons cannot; the API has known nothing of it for long.
      const isOver = async ({ peer }: Member): Promise<boolean> =>
        (await containersOf(peer)).every(({ state }) => state !== 'running')
      while (!((await isOver(dead!)) && (await isOver(frozen!)))) {
        const waitedMs = performance.now() - startedMs
        expect(waitedMs, 'the guards stop in time').to.be.below(guardMs)
        await sleep(500)
      }
      tell(`both guards stopped theirs after ${Math.round(performance.now() - startedMs)} ms`)
      frozen!.signal('SIGCONT')
      dead!.start()
      await dead!.ready(AbortSignal.timeout(60_000))
      const after = await converged()
      expect(isMoved(after, before), 'those that came back changed nothing').to.equal(true)
    })

    it('has no container and no image left when the group is deleted', async () => {
      await remove()
      expect(await allContainers()).to.deep.equal([])
      // An image goes after its container, which is all that convergence waits for.
      const imagesLeft = async (): Promise<number> => {
        const counts = await Promise.all([...engines.values()].map((engine) => engine.images()))
        return counts.reduce((sum, count) => sum + count, 0)
      }
      const deadlineMs = performance.now() + imagesMs
      while ((await imagesLeft()) > 0 && performance.now() < deadlineMs) await sleep(100)
      expect(await imagesLeft()).to.equal(0)
      expect(watcher.breaches).to.deep.equal([])
    })
  },
)

function tell(text: string): void {
  process.stderr.write(`chaos on Docker: ${text}\n`)
}

function inState(look: Look, state: string): InstanceSight | undefined {
  return look.is === 'there' ? look.instances.find((it) => it.state === state) : undefined
}

/** Whether every slot of `before` runs on another node under a higher epoch. */
function isMoved(now: readonly InstanceSight[], before: readonly InstanceSight[]): boolean {
  return before.every(({ potluck: old }) =>
    now.some(
      ({ state, potluck }) =>
        state === 'running' &&
        potluck.slot === old.slot &&
        potluck.node !== old.node &&
        potluck.epoch > old.epoch,
    ),
  )
}
