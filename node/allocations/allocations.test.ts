import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../protocol/clock.ts'
import { createCoordinatorTime, type InstanceReport } from '../../protocol/control/index.ts'
import type { Digest, Epoch, InstanceId, SlotId } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import {
  type Allocation,
  allocationCodec,
  allocationSecretsCodec,
} from '../../protocol/orders/index.ts'
import { nowMs, orderFixture } from '../../protocol/orders/orders.fixture.ts'
import { createKeyRing, seal } from '../../protocol/sealing/index.ts'
import { createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { createSimulatedEngine, type Engine } from '../engine/index.ts'
import type { Guard } from '../guard/index.ts'
import type { ImageFetcher } from './image-fetcher.ts'
import { createAllocations, openSlotBook } from './index.ts'

const digest = `sha256:${'d'.repeat(64)}` as Digest
const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const slot = (group: number, number = 0) => `${uuid(group)}/${number}` as SlotId
const signal = new AbortController().signal
const quick = { pull: 'pretend', pullMs: 1, unpackMs: 1, startMs: 1, stopMs: 1 } as const

/** A swarm that is over at once; the engine pulls for real, as far as it is real. */
const imagesOf = (engine: Engine): ImageFetcher => ({
  transfer: () => ({
    progress: () => ({
      bytesTotal: 1,
      bytesDone: 1,
      bytesFromCaches: 1,
      bytesFromPeers: 0,
      bytesServed: 1,
    }),
    async pull(_secrets, { onUnpacking }) {
      onUnpacking()
      const reference = `127.0.0.1:1/bundle@${digest}`
      await engine.pull({ reference, username: 'u', password: 'p' }, { signal })
      return reference
    },
    release: async () => undefined,
  }),
})

describe('allocations', () => {
  let dir: string
  let f: Awaited<ReturnType<typeof orderFixture>>
  let store: Store
  let engine: Engine
  let reports: InstanceReport[]
  let guarded: ReadonlyMap<InstanceId, number>
  /** What the guard takes its time for. */
  let guardIsOn: () => Promise<void>
  let waiting: { when: (report: InstanceReport) => boolean; then: () => void }[]

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'potluck-allocations-'))
    f = await orderFixture()
    store = createMemoryStore()
    engine = createSimulatedEngine(quick, { clock: systemClock })
    reports = []
    waiting = []
    guarded = new Map()
    guardIsOn = async () => undefined
  })
  afterEach(async () => {
    await engine.close()
    await rm(dir, { recursive: true })
  })

  const ring = () => createKeyRing({ dir: join(dir, 'keys') })
  const open = async (remembered: ReadonlyMap<InstanceId, number> = new Map()) => {
    const time = createCoordinatorTime({ clock: systemClock })
    time.take(nowMs, systemClock.nowMs())
    const guard: Guard = {
      async allow(times) {
        guarded = times
        await guardIsOn()
      },
      stop: async () => undefined,
    }
    const onReport = (report: InstanceReport) => {
      reports.push(report)
      for (const one of waiting.filter(({ when }) => when(report))) one.then()
    }
    const allocations = createAllocations(
      { node: f.node, allocationsMax: 2, remembered, onReport },
      {
        keeper: f.keeper,
        time,
        book: await openSlotBook({ store }),
        keys: ring(),
        engine,
        images: imagesOf(engine),
        guard,
        clock: systemClock,
        logger: silentLogger,
      },
    )
    await allocations.recover({ signal })
    return allocations
  }
  const order = async (changes: Partial<Allocation> = {}) => {
    const [key] = await ring().make(1)
    const secrets = allocationSecretsCodec.encode({
      v: 1,
      manifest: new Uint8Array(2),
      manifestDigest: digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      blobs: [],
      env: { GREETING: 'hello' },
      command: [],
      organization: 'acme',
      organizationId: uuid(1),
      project: 'web',
      projectId: uuid(2),
      group: 'g',
      groupId: uuid(3),
    })
    return f.signAllocation({ sealed: seal(secrets, key!), ...changes })
  }
  const until = (state: string, epoch = 3): Promise<void> => {
    const when = (report: InstanceReport) => report.state === state && report.epoch === epoch
    if (reports.some(when)) return Promise.resolve()
    return new Promise((then) => waiting.push({ when, then }))
  }
  const containers = async () =>
    (await engine.list({ signal })).filter((c) => c.state === 'running')

  it('runs an order, guarded before it starts, and reports each state', async () => {
    const allocations = await open()
    const answer = await allocations.offer(await order())
    expect(answer).to.not.have.property('refusal')
    expect([...guarded.keys()]).to.deep.equal([f.allocation.instance])
    await until('running')
    expect(reports.map(({ state }) => state)).to.deep.equal(['downloading', 'creating', 'running'])
    expect(await containers()).to.have.length(1)
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    expect(await containers()).to.have.length(0)
    expect(guarded.size).to.equal(0)
  })

  it('lets the guard forget none of two orders that come together', async () => {
    const allocations = await open()
    const second = { slot: slot(8), instance: uuid(9) as InstanceId }
    const bothTold = Promise.withResolvers<void>()
    let told = 0
    guardIsOn = async () => {
      told += 1
      if (told === 2) bothTold.resolve()
      await bothTold.promise
    }
    const both = [await order(), await order(second)]
    for (const answer of await Promise.all(both.map((one) => allocations.offer(one)))) {
      expect(answer).to.not.have.property('refusal')
    }
    expect([...guarded.keys()]).to.have.members([f.allocation.instance, second.instance])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    expect(guarded.size).to.equal(0)
  })

  it('takes a redelivery quietly, and refuses an old epoch and a twin', async () => {
    const allocations = await open()
    const signed = await order()
    await allocations.offer(signed)
    await until('running')
    expect(await allocations.offer(signed)).to.not.have.property('refusal')
    const older = await allocations.offer(await order({ epoch: 2 as Epoch }))
    expect(older?.refusal?.code).to.equal('STALE_EPOCH')
    const twin = await allocations.offer(await order())
    expect(twin?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const tampered = { ...signed, payload: signed.payload.slice() }
    tampered.payload[20]! ^= 1
    expect(await allocations.offer(tampered)).to.equal(undefined)
    expect(await containers()).to.have.length(1)
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('hands the container over to a newer epoch of the same instance', async () => {
    const allocations = await open()
    await allocations.offer(await order())
    await until('running')
    const [before] = await containers()
    await allocations.offer(await order({ epoch: 4 as Epoch }))
    await until('running', 4)
    const [after] = await containers()
    expect(after?.id).to.equal(before?.id)
    expect(allocations.docket.reports().map(({ epoch }) => epoch)).to.deep.equal([4])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('keeps to what the chef allows, and to one slot of a group', async () => {
    const allocations = await open()
    const offer = async (group: number, number: number) =>
      (
        await allocations.offer(
          await order({
            slot: slot(group, number),
            instance: uuid(group * 10 + number) as InstanceId,
          }),
        )
      )?.refusal?.code
    expect(await offer(1, 0)).to.equal(undefined)
    expect(await offer(1, 1)).to.equal('GROUP_ALREADY_HERE')
    expect(await offer(2, 0)).to.equal(undefined)
    expect(await offer(3, 0)).to.equal('NODE_FULL')
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('ends what is revoked, forgets its key, and refuses the order ever after', async () => {
    const allocations = await open()
    const signed = await order()
    await allocations.offer(signed)
    await until('running')
    await allocations.revoke(f.signRevocation())
    expect(await containers()).to.have.length(0)
    expect(allocations.docket.reports()).to.deep.equal([])
    expect((await allocations.offer(signed))?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const reopened = await open()
    expect((await reopened.offer(signed))?.refusal?.code).to.equal('CONFLICTING_ORDER')
    const { sealed } = allocationCodec.decode(signed.payload)
    const error = await ring()
      .open(sealed)
      .catch((reason: unknown) => reason)
    expect(error).to.have.property('code', 'UNSEAL_FAILED')
  })

  it('never lets the end of an old epoch touch the record of a newer one', async () => {
    const allocations = await open()
    await allocations.offer(await order())
    await until('running')
    const newer = await order({ epoch: 4 as Epoch, instance: uuid(77) as InstanceId })
    await allocations.offer(newer)
    await until('running', 4)
    // A daemon that is killed now finds the newer order, and not the older one's end.
    const book = await openSlotBook({ store })
    expect(book.memory(f.allocation.slot)?.fence.epoch).to.equal(4)
    expect(book.live().map(({ order: held }) => held.payload)).to.deep.equal([newer.payload])
    const twin = await allocations.offer(await order({ epoch: 4 as Epoch }))
    expect(twin?.refusal?.code).to.equal('CONFLICTING_ORDER')
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('takes no order once it is leaving', async () => {
    const allocations = await open()
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
    const answer = await allocations.offer(await order())
    expect(answer?.refusal?.code).to.equal('NODE_STOPPING')
    expect(await containers()).to.have.length(0)
  })

  it('tries to put an end on record until the disk takes it, and harms nothing else', async () => {
    const allocations = await open()
    await allocations.offer(await order())
    await until('running')
    const write = store.batch.bind(store)
    let refused = 0
    store.batch = async (...args) => {
      if (refused++ === 0) throw new Error('no space left on device')
      await write(...args)
    }
    await allocations.revoke(f.signRevocation())
    expect(refused).to.be.at.least(2)
    expect((await openSlotBook({ store })).live()).to.deep.equal([])
  })

  it('sweeps away what an engine made too late', async () => {
    const allocations = await open()
    await allocations.offer(await order())
    await until('running')
    const [ours] = await containers()
    await engine.run(
      {
        node: f.node,
        slot: slot(9),
        term: f.allocation.term,
        epoch: f.allocation.epoch,
        instance: uuid(99) as InstanceId,
        image: digest,
        reference: `127.0.0.1:1/bundle@${digest}`,
        command: [],
        env: {},
        hostname: 'stray',
        limits: f.allocation.resources,
      },
      { signal },
    )
    expect(await containers()).to.have.length(2)
    await allocations.sweep({ signal })
    expect((await containers()).map(({ id }) => id)).to.deep.equal([ours?.id])
    await allocations.stopAll({ code: 'TEST', message: 'over' }, 0)
  })

  it('stops what has lapsed', async () => {
    const allocations = await open()
    await allocations.offer(await order({ leaseEndMs: nowMs - 61_000 }))
    allocations.tick()
    await until('stopped')
    expect(await containers()).to.have.length(0)
    expect(allocations.docket.reports()[0]?.fault?.code).to.equal('LEASE_LAPSED')
  })

  it('adopts after a crash what may still run, and removes the rest', async () => {
    const crashed = await open()
    await crashed.offer(await order())
    await until('running')
    const [before] = await containers()
    reports = []
    // the first one is left as a killed daemon leaves it: its engine and its book remain
    const again = await open(new Map([[f.allocation.instance, systemClock.nowMs() + 30_000]]))
    await until('running')
    expect((await containers()).map(({ id }) => id)).to.deep.equal([before?.id])
    expect(again.docket.held()).to.have.length(1)

    const tooLate = await open(new Map([[f.allocation.instance, systemClock.nowMs() - 1]]))
    expect(tooLate.docket.held()).to.have.length(0)
    expect(await containers()).to.have.length(0)
    await Promise.all([
      crashed.stopAll({ code: 'TEST', message: 'over' }, 0),
      again.stopAll({ code: 'TEST', message: 'over' }, 0),
    ])
  })

  it('keeps nothing of an order whose key it has forgotten', async () => {
    const allocations = await open()
    const signed = await order()
    await ring().forgetAllBut([])
    expect((await allocations.offer(signed))?.refusal?.code).to.equal('UNSEAL_FAILED')
    expect(allocations.keysInUse()).to.deep.equal([])
    expect(guarded.size).to.equal(0)
  })

  it('starts what a daemon created and was killed before it started', async () => {
    const crashed = await open()
    await crashed.offer(await order({ restart: 'never' }))
    await until('running')
    const real = engine
    let isStarted = false
    // As Docker has it: what never started is not running, so waiting for its end ends at once.
    engine = {
      ...real,
      list: async (options) =>
        (await real.list(options)).map((it) => (isStarted ? it : { ...it, state: 'created' })),
      waitExit: (id, options) =>
        isStarted ? real.waitExit(id, options) : Promise.resolve({ exitCode: 0 }),
      restart(id, options) {
        isStarted = true
        return real.restart(id, options)
      },
    }
    reports = []
    const again = await open(new Map([[f.allocation.instance, systemClock.nowMs() + 30_000]]))
    await until('running')
    expect(isStarted).to.equal(true)
    expect(again.docket.reports().map(({ state }) => state)).to.deep.equal(['running'])
    const over = { code: 'TEST', message: 'over' }
    await Promise.all([crashed.stopAll(over, 0), again.stopAll(over, 0)])
  })
})
