/**
 * The network under attack with one instance that runs, and the proof that an attack left it alone.
 * Simulated engines: what is tried here never reaches one.
 */
import { expect } from 'chai'
import type { PeerId, SlotId } from '../../protocol/ids.ts'
import type { PeerAddress } from '../../protocol/mesh/index.ts'
import type { Network } from '../../protocol/network/index.ts'
import type { Member } from '../chaos/member.ts'
import type { InstanceSight } from './api.ts'
import { createStranger, networkOf, type Stranger } from './stranger.ts'
import { startTarget, type Target } from './target.ts'

export type KeptGroup = Readonly<{
  target: Target
  network: Network
  coordinator: PeerAddress
  stranger: Stranger
  instance: InstanceSight
  slot: SlotId
  /** Of two nodes the one that has the instance, and the other. */
  runner: Member
  idler: Member
  /** @throws {AssertionError} another instance runs, elsewhere, or under another epoch. */
  untouched(): Promise<void>
  stop(): Promise<void>
}>

const name = 'kept'

export async function startKeptGroup(): Promise<KeptGroup> {
  const target = await startTarget({ engine: 'simulated', nodes: 2, reconnectWindow: '5s' })
  const stranger = await createStranger()
  const stop = async (): Promise<void> => {
    await stranger.mesh.stop()
    await target.stop()
  }
  try {
    const network = await networkOf(target)
    const container = { image: 'registry.example/app:1', resources: { cpu: 1, memory: 1_024 } }
    await target.api.create({ name, replicas: 1, container })
    const running = await target.api.running(name, 1)
    const instance = running[0]!
    const { body } = await target.api.ask('GET', `/${name}`)
    const runs = ({ peer }: Member): boolean => peer === instance.potluck.node
    return {
      ...{ target, network, stranger, instance, stop },
      coordinator: {
        peer: target.coordinator.peer as PeerId,
        addresses: network.coordinatorAddrs,
      },
      slot: `${(body as { id: string }).id}/0` as SlotId,
      runner: target.nodes.find(runs)!,
      idler: target.nodes.find((node) => !runs(node))!,
      async untouched() {
        const now = await target.api.running(name, 1)
        expect(now.map(facts)).to.deep.equal(running.map(facts))
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function facts({ id, potluck }: InstanceSight) {
  return { id, epoch: potluck.epoch, node: potluck.node }
}
