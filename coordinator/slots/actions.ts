/** What may be done about a slot, as data: the plan names them, transitions and messages carry them out. */
import type { Fault } from '../../protocol/control/index.ts'
import type { Fence, GroupId, PeerId, SlotId } from '../../protocol/ids.ts'
import type { Claim, Leaving, PlacementState } from './records.ts'
import type { Held } from './views.ts'

export type SlotAction =
  /** A new epoch on `node`; `beside`: the one before runs on until this one does. */
  | Readonly<{
      do: 'allocate'
      slot: SlotId
      node: PeerId
      gpuUuids: readonly string[]
      beside?: boolean
    }>
  /** A new epoch for the container that `from` still runs. */
  | Readonly<{ do: 'readopt'; slot: SlotId; from: Leaving }>
  /** The same bytes once more. */
  | Readonly<{ do: 'redeliver'; slot: SlotId }>
  /** The placement is no longer the slot's; `why` says whether it may come back. */
  | Readonly<{
      do: 'vacate'
      slot: SlotId
      why: Leaving['why']
      reason: string
      /** Who gets the room. */
      claim?: Claim
    }>
  | Readonly<{ do: 'fail'; slot: SlotId; fault: Fault }>
  | Readonly<{ do: 'finish'; slot: SlotId; exitCode: number }>
  /** The node shows another state than the record. */
  | Readonly<{ do: 'observe'; slot: SlotId; state: PlacementState }>
  /** Tell the node to stop this epoch; again and again until it shows that it has. */
  | Readonly<{ do: 'revoke'; slot: SlotId; node: PeerId; fence: Fence; reason: string }>
  /** An older epoch is certainly over. */
  | Readonly<{ do: 'release'; slot: SlotId; node: PeerId; fence: Fence }>
  /** A node holds an order of ours that the store does not know: the fence rises above it. */
  | Readonly<{ do: 'outrank'; slot: SlotId; node: PeerId; held: Held; mayReturn: boolean }>
  /** The slot is wanted anew: what it finished or failed at does not count any more. */
  | Readonly<{ do: 'reset'; slot: SlotId }>
  /** The deleted group's slots are all over. */
  | Readonly<{ do: 'forget'; group: GroupId }>

/** No plan's but a tenant's: a new epoch for the container that runs, which its node restarts. */
export type RestartAction = Readonly<{ do: 'restart'; slot: SlotId }>
