/**
 * What a change of a slot's record is called in SaladCloud's system events, which their users know.
 * Pure. Names: docs.salad.com, container engine, system events.
 */
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { newerVersionReason } from '../../protocol/orders/index.ts'
import type { PlacementState, SlotRecord } from '../slots/index.ts'

export type InstanceEvent = Readonly<{ name: string; instance: InstanceId; node: PeerId }>

const stateNames: Readonly<Partial<Record<PlacementState, string>>> = {
  downloading: 'Instance Downloading',
  creating: 'Instance Creating',
  running: 'Instance Running',
  restarting: 'Instance Restarted',
}

/** Reasons that the group's own events tell already. */
const toldByGroup: ReadonlySet<string> = new Set(['no longer wanted', newerVersionReason])

export function slotEvents(
  before: SlotRecord | undefined,
  after: SlotRecord,
): readonly InstanceEvent[] {
  const [old, now] = [before?.placement, after.placement]
  const events: InstanceEvent[] = []
  if (old && old.instance !== now?.instance) {
    const name = now?.node === old.node ? 'Instance Recreated' : endName(before, after)
    if (name) events.push({ name, instance: old.instance, node: old.node })
  }
  if (now && now.instance !== old?.instance) {
    events.push({ name: 'Instance Allocated', instance: now.instance, node: now.node })
  }
  const name = now && now.state !== old?.state ? stateNames[now.state] : undefined
  if (now && name) events.push({ name, instance: now.instance, node: now.node })
  return events
}

function endName(before: SlotRecord | undefined, after: SlotRecord): string | undefined {
  if (after.finished) return exitName(after.finished.exitCode)
  if (after.fault && after.fault !== before?.fault && after.failures > (before?.failures ?? 0)) {
    const exit = /exited with (-?\d+)$/.exec(after.fault.message)?.[1]
    return exit === undefined ? 'Instance Reallocated by Platform' : exitName(Number(exit))
  }
  const left = after.leaving.find(({ instance }) => instance === before?.placement?.instance)
  if (!left || toldByGroup.has(left.reason)) return undefined
  if (left.reason === 'reallocated by the tenant') return 'Instance Reallocated by User'
  if (/preempt|priority/.test(left.reason)) return 'Instance Interrupted (Priority)'
  return 'Instance Interrupted (Node Offline)'
}

function exitName(exitCode: number): string {
  const why =
    exitCode === 0
      ? 'Exited Successfully'
      : exitCode === 137
        ? 'Likely Out of System Memory'
        : 'Error'
  return `Instance Exited:${exitCode} (${why})`
}
