/** A node that takes orders as a real one does, and runs nothing: a test says what becomes of them. */
import { createHash } from 'node:crypto'
import type {
  Capacity,
  DownMessage,
  Hello,
  InstanceReport,
  Renewal,
} from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { SlotId } from '../../protocol/ids.ts'
import {
  type Allocation,
  type AllocationSecrets,
  allocationCodec,
  allocationSecretsCodec,
  judgeAllocation,
  judgeRevocation,
  revocationCodec,
  type SlotMemory,
} from '../../protocol/orders/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import { FakePeer } from './fake-peer.ts'

export type HeldOrder = {
  readonly allocation: Allocation
  readonly order: Signed
  readonly secrets: AllocationSecrets | undefined
  report: InstanceReport
}

const gib = 2 ** 30

export class FakeNode extends FakePeer {
  protected readonly role = 'node'
  readonly holds = new Map<SlotId, HeldOrder>()
  readonly memory = new Map<SlotId, SlotMemory>()
  /** Coordinator's time at which each slot's lease ends. */
  readonly leases = new Map<SlotId, number>()
  /** Every order taken, in order. */
  readonly taken: Allocation[] = []
  /** What an order becomes; 'running' by default. */
  behaviour: InstanceReport['state'] = 'running'
  refuseWith: string | undefined
  lends: Capacity = {
    milliCpus: 4_000,
    memoryBytes: 8 * gib,
    storageBytes: 100 * gib,
    gpus: [],
    region: 'local',
    versions: {},
    allocationsMax: 1,
    envAllowed: true,
  }

  protected override capacity(): Capacity {
    return this.lends
  }

  protected override held(): Hello['held'] {
    return [...this.holds.values()].map(({ order, report }) => ({ order, report }))
  }

  protected override onRenewals(renewals: readonly Renewal[]): void {
    for (const { slot, leaseEndMs } of renewals) this.leases.set(slot, leaseEndMs)
  }

  setState(slot: SlotId, change: Partial<InstanceReport>): void {
    const held = this.holds.get(slot)
    if (!held) throw new Error(`slot ${slot} is not held`)
    held.report = { ...held.report, ...change }
    this.send({ type: 'report', instance: held.report })
  }

  protected override onMessage(message: DownMessage): void {
    if (message.type === 'order') this.#take(message.order)
    if (message.type === 'revoke') this.#revoke(message.revocation)
  }

  #take(order: Signed): void {
    const allocation = this.keeper.open('allocation', order, allocationCodec)
    const { slot, term, epoch, instance } = allocation
    const orderHash = createHash('sha256').update(order.payload).digest('hex')
    const answer = { type: 'order-answer', slot, term, epoch } as const
    try {
      if (this.refuseWith) throw Object.assign(new Error('no'), { code: this.refuseWith })
      const context = { self: this.peer, nowMs: this.time.nowMs() ?? 0, orderHash }
      const memory = this.memory.get(slot)
      if (judgeAllocation(allocation, { ...context, memory }) === 'redelivered') {
        this.send(answer)
        return
      }
    } catch (error) {
      const refusal = { code: errorCode(error) ?? 'INTERNAL', message: 'refused' }
      this.send({ ...answer, refusal })
      return
    }
    const before = this.holds.get(slot)
    const goesOn = before?.report.instance === instance
    const secrets = goesOn
      ? before.secrets
      : allocationSecretsCodec.decode(this.open(allocation.sealed))
    this.memory.set(slot, { fence: { term, epoch }, orderHash })
    this.leases.set(slot, allocation.leaseEndMs)
    this.taken.push(allocation)
    const zero = {
      ...{ restarts: 0, bytesTotal: 0, bytesDone: 0 },
      ...{ bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 },
    }
    const state = goesOn ? before.report.state : 'accepted'
    const report: InstanceReport = { slot, term, epoch, instance, state, ...zero }
    this.holds.set(slot, { allocation, order, secrets, report })
    this.send(answer)
    if (!goesOn) this.setState(slot, { state: this.behaviour })
  }

  #revoke(revocation: Signed): void {
    const { slot, term, epoch } = this.keeper.open('revocation', revocation, revocationCodec)
    judgeRevocation(revocationCodec.decode(revocation.payload), {
      self: this.peer,
      memory: this.memory.get(slot),
    })
    this.memory.set(slot, { fence: { term, epoch } })
    this.holds.delete(slot)
    this.link?.beatNow()
  }
}
