/** What the API may see of the control plane; reads only, from what is in memory. */
import type { GroupId } from '../../protocol/ids.ts'
import { compareFence, parseSlotId } from '../../protocol/ids.ts'
import {
  type ControlPlaneView,
  type InstanceView,
  type InstanceViewState,
  machineIdOf,
} from '../groups/index.ts'
import type { Images } from '../images/index.ts'
import { describeExplanation } from '../scheduler/index.ts'
import type { Sessions } from '../sessions/index.ts'
import { type Placement, type PlacementState, runsOn, type SlotRecord } from '../slots/index.ts'
import { freeNodes } from './free-nodes.ts'
import type { Reconciler } from './reconciler.ts'
import type { SlotBook } from './slot-book.ts'

export type ControlPlaneViewComponents = Readonly<{
  book: SlotBook
  sessions: Pick<Sessions, 'nodes'>
  images: Pick<Images, 'view'>
  reconciler: Pick<Reconciler, 'waitedMs' | 'explain' | 'ask'>
  /** Whether a security review keeps the group from new instances. */
  isHeld: (group: GroupId) => boolean
  /** Why nothing is placed or replaced now, whatever the group. */
  standstill: () => string | undefined
}>

const shownStates: Readonly<Record<PlacementState, InstanceViewState>> = {
  ordered: 'allocating',
  accepted: 'allocating',
  downloading: 'downloading',
  creating: 'creating',
  restarting: 'creating',
  running: 'running',
  stopping: 'stopping',
  stopped: 'stopping',
  failed: 'stopping',
}

export function createControlPlaneView(components: ControlPlaneViewComponents): ControlPlaneView {
  const { book, sessions, images, reconciler, isHeld } = components

  const reportOf = ({ slot }: SlotRecord, { node, fence }: Placement) => {
    const view = sessions.nodes.get(node)
    const held = view?.held.get(slot)
    return held && compareFence(held.fence, fence) === 0 ? held.report : undefined
  }
  const show = (record: SlotRecord, placement: Placement, state: InstanceViewState) => {
    const { instance, node, fence, version, stateSinceMs } = placement
    const report = reportOf(record, placement)
    const fault = report?.fault ?? record.fault
    return {
      id: instance,
      slot: parseSlotId(record.slot).number,
      ...fence,
      node,
      machineId: machineIdOf(node),
      state,
      updatedMs: stateSinceMs,
      version,
      ready: state === 'running',
      started: state === 'running',
      ...(fault && state !== 'running' ? { fault } : {}),
      bytesTotal: report?.bytesTotal ?? 0,
      bytesDone: report?.bytesDone ?? 0,
      bytesFromCaches: report?.bytesFromCaches ?? 0,
      bytesFromPeers: report?.bytesFromPeers ?? 0,
      bytesServed: report?.bytesServed ?? 0,
      restarts: report?.restarts ?? 0,
      deletionCost: placement.deletionCost ?? 0,
    } satisfies InstanceView
  }
  return {
    instances(group: GroupId) {
      const shown: InstanceView[] = []
      for (const record of book.of(group)) {
        const { placement, leaving } = record
        if (placement) shown.push(show(record, placement, shownStates[placement.state]))
        for (const old of leaving) {
          // Of one that is silent nothing is known; one that its node shows has not stopped yet.
          const isHere = sessions.nodes.get(old.node)?.connected ?? false
          const report = isHere ? reportOf(record, old) : undefined
          if (!report) continue
          const state = runsOn(old, record, true) ? shownStates[report.state] : 'stopping'
          shown.push(show(record, old, state))
        }
      }
      return shown.sort((a, b) => a.slot - b.slot || b.epoch - a.epoch)
    },
    image: (group) => images.view(group),
    placementProblem(group) {
      if (isHeld(group)) return 'held for a security review: nothing new is placed until it is over'
      const standstill = components.standstill()
      if (standstill !== undefined) return standstill
      if (reconciler.waitedMs(group) === undefined) return undefined
      const explanation = reconciler.explain(group)
      return explanation && describeExplanation(explanation)
    },
    explain(group) {
      const found = reconciler.explain(group)
      if (!found) return undefined
      const waitedMs = reconciler.waitedMs(group)
      const score = ({ node, score, parts }: (typeof found.best)[number]) => ({
        ...{ machineId: machineIdOf(node), score, parts },
      })
      const fits = `${found.fitting} of ${found.considered} nodes fit`
      return {
        summary: found.fitting > 0 ? fits : describeExplanation(found),
        ...(waitedMs === undefined ? {} : { waitedMs }),
        ...{ nodesConsidered: found.considered, nodesFitting: found.fitting },
        removed: [...found.removed].map(([reason, nodes]) => ({ reason, nodes })),
        ...{ help: found.help, best: found.best.map(score) },
        placed: found.placed.map((item) => ({ slot: item.slot, ...score(item) })),
      }
    },
    capacity() {
      const connected = [...sessions.nodes.values()].filter((view) => view.isHere)
      const sum = (of: (capacity: NonNullable<(typeof connected)[0]['capacity']>) => number) =>
        connected.reduce((total, { capacity }) => total + (capacity ? of(capacity) : 0), 0)
      return {
        nodes: sessions.nodes.size,
        nodesConnected: connected.length,
        milliCpus: sum(({ milliCpus }) => milliCpus),
        memoryBytes: sum(({ memoryBytes }) => memoryBytes),
        storageBytes: sum(({ storageBytes }) => storageBytes),
        gpus: sum(({ gpus }) => gpus.length),
      }
    },
    nodes: () => freeNodes(book, sessions.nodes),
    setDeletionCost: (instance, cost) => {
      return reconciler.ask(instance, { do: 'set-deletion-cost', cost })
    },
    reallocate: (instance) => reconciler.ask(instance, { do: 'reallocate' }),
    recreate: (instance) => reconciler.ask(instance, { do: 'recreate' }),
    restart: (instance) => reconciler.ask(instance, { do: 'restart' }),
  }
}
