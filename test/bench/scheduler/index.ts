/**
 * How many slots a second are placed, each signed, sealed to a key of its node and synced to disk,
 * on one thread; how long one placement takes from the tenant's request to the disk; and how much
 * slower both are when a million slots are placed already. Nomad placed 3,750 a second on a cluster
 * (C1M), and 1,500 (C2M).
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { groupInput, scope } from '../../../coordinator/groups/groups.fixture.ts'
import type { GroupRecord } from '../../../coordinator/groups/index.ts'
import { emptySlot, type Placement } from '../../../coordinator/slots/index.ts'
import type { Epoch, InstanceId, PeerId, Term } from '../../../protocol/ids.ts'
import { slotId } from '../../../protocol/ids.ts'
import { defineBench, type Figures, round } from '../bench.ts'
import { openWorld, type World } from './world.ts'

/** As SaladCloud allows; in a small network half of it, because no two share a node. */
const replicasOf = ({ nodes }: World): number => Math.min(500, Math.ceil(nodes.size / 2))
const recordsPerFill = 1_000
/** What an order weighs with 32 neighbours and a usual image's secrets. */
const orderBytes = 5_500
const small = { milliCpus: 250, memoryBytes: 2 ** 30, storageBytes: 2 ** 30, shmBytes: 2 ** 26 }

export const scheduler = defineBench({
  summary: 'placements a second, signed, sealed and durable, empty and at a million placed',
  options: {
    nodes: { description: 'nodes', default: 10_000 },
    placed: {
      description: 'slots that are placed already for the second half',
      default: 1_000_000,
    },
    placements: { description: 'placements in each half', default: 20_000 },
    singles: { description: 'placements one by one, for the time of each', default: 300 },
  },
  async run({ nodes, placed, placements, singles }, tell): Promise<Figures> {
    const dir = await mkdtemp(join(tmpdir(), 'potluck-bench-scheduler-'))
    try {
      const empty = await placeInEmpty(nodes, join(dir, 'empty'), placements)
      tell(`empty: ${describe(empty)}`)
      await using world = await openWorld(nodes, join(dir, 'full'))
      await fill(world, placed, tell)
      await compacted()
      world.reconciler.start()
      await place(world, warmUp)
      const full = await place(world, placements)
      tell(`at ${world.book.slots.size}: ${describe(full)}`)
      const times = await placeSingly(world, singles)
      tell(
        `one by one: median ${round(quantile(times, 0.5))} ms, p99 ${round(quantile(times, 0.99))} ms`,
      )
      return {
        ...{ nodes, placed: world.book.slots.size },
        placementsPerS: Math.round(empty.perS),
        p99Ms: round(quantile(times, 0.99)),
        slowdownAtFull: round(empty.perS / full.perS),
      }
    } finally {
      await rm(dir, { recursive: true })
    }
  },
})

const compactMsMax = 120_000
/** The compiler's turn. */
const warmUp = 2_000

async function placeInEmpty(nodes: number, dir: string, placements: number) {
  await using world = await openWorld(nodes, dir)
  world.reconciler.start()
  await place(world, warmUp)
  return await place(world, placements)
}

let named = 0
async function makeGroup({ groups }: World, replicas: number): Promise<GroupRecord> {
  const input = groupInput({ name: `group-${named++}`, displayName: 'g', replicas })
  const container = { ...input.container, ...small }
  return groups.create(scope, { ...input, container, env: { TOKEN: randomUUID() } })
}

/** Resolves when so many placements more are durable. */
function placedMore({ book }: World, count: number): Promise<void> {
  let left = count
  return new Promise((resolve) => {
    book.onChange((next, before) => {
      const isNew =
        next?.placement !== undefined && next.placement.fence !== before?.placement?.fence
      if (isNew && --left === 0) resolve()
    })
  })
}

type Placed = Readonly<{ perS: number; cpuMs: number }>

function describe({ perS, cpuMs }: Placed): string {
  return `${Math.round(perS)} placements/s, ${round(cpuMs)} ms of CPU each`
}

async function place(world: World, count: number): Promise<Placed> {
  const sizes: number[] = []
  const replicasMax = replicasOf(world)
  for (let left = count; left > 0; left -= replicasMax) sizes.push(Math.min(left, replicasMax))
  const done = placedMore(world, count)
  const [startMs, startCpu] = [performance.now(), process.cpuUsage()]
  await Promise.all(sizes.map((size) => makeGroup(world, size)))
  await done
  const ms = performance.now() - startMs
  const { user, system } = process.cpuUsage(startCpu)
  return { perS: (count / ms) * 1e3, cpuMs: (user + system) / 1e3 / count }
}

/** Places `count` slots without the work of it: records of the same size, durable, shown by nodes. */
async function fill(world: World, count: number, tell: (line: string) => void): Promise<void> {
  const order = { payload: randomBytes(orderBytes), signature: randomBytes(64) }
  const startMs = performance.now()
  const peers = [...world.nodes.keys()]
  const replicasMax = replicasOf(world)
  let turn = 0
  for (let left = count; left > 0; left -= replicasMax) {
    const size = Math.min(left, replicasMax)
    const group = await makeGroup(world, size)
    const records = Array.from({ length: size }, (_, number) => {
      const slot = slotId(group.id, number)
      const placement: Placement = {
        ...{
          fence: { term: 1 as Term, epoch: 1 as Epoch },
          version: 1,
          bundle: world.bundle,
          order,
        },
        ...{ node: peers[turn++ % peers.length] as PeerId, instance: randomUUID() as InstanceId },
        resources: { ...small, gpuUuids: [] },
        ...{ issuedMs: 1, acceptUntilMs: 1, state: 'accepted', stateSinceMs: 1 },
      }
      world.show(slot, placement)
      return { ...emptySlot(slot), fence: placement.fence, placement }
    })
    for (let at = 0; at < size; at += recordsPerFill) {
      await world.book.commit(records.slice(at, at + recordsPerFill))
    }
  }
  tell(`filled to ${world.book.slots.size} in ${round((performance.now() - startMs) / 1e3)} s`)
}

/**
 * A million records come over days, here in a minute: what LevelDB still has to merge of that is no
 * cost of the placements that follow. Over when the process has been idle for a second.
 */
async function compacted(): Promise<void> {
  const endMs = performance.now() + compactMsMax
  for (let idle = 0; idle < 2 && performance.now() < endMs; ) {
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 500))
    const { user, system } = process.cpuUsage(before)
    idle = user + system < 50_000 ? idle + 1 : 0
  }
}

/** From the request for one replica more to its order on the disk, ms each. */
async function placeSingly(world: World, count: number): Promise<readonly number[]> {
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const done = placedMore(world, 1)
    const startMs = performance.now()
    await Promise.all([makeGroup(world, 1), done])
    times.push(performance.now() - startMs)
  }
  return times.sort((a, b) => a - b)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
