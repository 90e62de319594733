/** What was acknowledged, and whether the API and the nodes themselves show exactly that. */
import type { Member } from './member.ts'
import type { Look } from './tenant.ts'

export type Desired = Readonly<{
  name: string
  replicas: number
  state: 'running' | 'stopped' | 'deleted'
}>

/** One container, as its node says. */
export type Held = Readonly<{
  node: string
  slot: string
  epoch: number
  state: string
}>

/** Undefined when the API shows exactly what is desired; else what is amiss, for people. */
export function amissInApi(desired: Desired, look: Look): string | undefined {
  if (look.is === 'down') return 'the API does not answer'
  if (desired.state === 'deleted') {
    return look.is === 'gone' ? undefined : 'the group is still there'
  }
  if (look.is !== 'there') return 'the group is gone'
  const { group, instances } = look
  if (group.replicas !== desired.replicas) return `replicas is ${group.replicas}`
  const isStopped = group.current_state.status === 'stopped'
  if (isStopped !== (desired.state === 'stopped')) return `status ${group.current_state.status}`
  const wanted = desired.state === 'stopped' ? 0 : desired.replicas
  const running = instances.filter(({ state }) => state === 'running')
  const slots = new Set(running.map(({ potluck }) => potluck.slot))
  const nodes = new Set(running.map(({ potluck }) => potluck.node))
  const isExact = instances.length === wanted && slots.size === wanted && nodes.size === wanted
  const inRange = [...slots].every((slot) => slot < wanted)
  if (isExact && inRange) return undefined
  const shown = instances.map(({ state, potluck: { slot, epoch, fault } }) =>
    `slot ${slot} epoch ${epoch} ${state} ${fault ? fault.code : ''}`.trim(),
  )
  return `${shown.length > 0 ? shown.join(', ') : 'no instance'}; ${describe(group)}`
}

function describe({ current_state, potluck }: Extract<Look, { is: 'there' }>['group']): string {
  return `${current_state.description ?? current_state.status}, image ${potluck.image.state}`
}

const ended = new Set(['stopped', 'failed'])

/**
 * The containers that living nodes say they have, by their own logs since their last start: a node
 * with a simulated engine has none when it starts.
 */
export async function heldByNodes(nodes: readonly Member[]): Promise<readonly Held[]> {
  const all = await Promise.all(
    nodes.filter(({ isUp }) => isUp).map(async (node) => heldIn(node, await node.log())),
  )
  return all.flat()
}

/** Of one node; a slot's newer epoch takes the place of its older one (the container is adopted). */
function heldIn(node: Member, log: Awaited<ReturnType<Member['log']>>): readonly Held[] {
  const bySlot = new Map<string, Held>()
  for (const { msg, slot, epoch, state } of log) {
    if (msg !== 'instance changed state') continue
    const next = {
      ...{ node: node.peer, slot: String(slot), epoch: Number(epoch), state: String(state) },
    }
    const known = bySlot.get(next.slot)
    if (known && known.epoch > next.epoch) continue
    bySlot.set(next.slot, next)
  }
  return [...bySlot.values()].filter(({ state }) => !ended.has(state))
}

/** Undefined when nodes hold exactly what the API shows as running, each once. */
export function amissOnNodes(look: Look, held: readonly Held[]): string | undefined {
  const nameOf = (slot: number, epoch: number, node: string): string => `${slot}@${epoch} ${node}`
  const shown =
    look.is === 'there'
      ? look.instances.map(({ potluck: p }) => nameOf(p.slot, p.epoch, p.node))
      : []
  const found = held.map(({ slot, epoch, node }) =>
    nameOf(Number(slot.slice(slot.lastIndexOf('/') + 1)), epoch, node),
  )
  const tooMany = found.filter((name) => !shown.includes(name))
  const missing = shown.filter((name) => !found.includes(name))
  if (tooMany.length === 0 && missing.length === 0 && found.length === shown.length)
    return undefined
  return `containers too many: [${tooMany.join(', ')}], missing: [${missing.join(', ')}]`
}
