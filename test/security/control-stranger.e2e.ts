/** Strangers at the coordinator's control stream: they may knock, and speak for nobody. */
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Beat, InstanceReport, UpMessage } from '../../protocol/control/index.ts'
import type { Epoch, InstanceId, Term } from '../../protocol/ids.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { orderPayload } from './forged-order.ts'
import { type KeptGroup, startKeptGroup } from './kept-group.ts'
import { soon } from './stranger.ts'

describe('a stranger at the coordinator', function () {
  this.timeout(120_000)
  let kept: KeptGroup
  before(async () => {
    kept = await startKeptGroup()
  })
  after(() => kept?.stop())

  /** The coordinator's last word to messages on a new stream. */
  const refusal = async (messages: readonly UpMessage[]): Promise<string> => {
    const channel = await kept.stranger.control(kept.coordinator)
    try {
      for (const message of messages) await channel.write(message, soon())
      for (;;) {
        const { message } = await channel.read(soon())
        if (message.type === 'refused') return message.fault.code
      }
    } finally {
      channel.abort(new Error('done'))
    }
  }
  const report = (changes: Partial<InstanceReport> = {}): InstanceReport => {
    const { instance, slot } = kept
    return {
      ...{ slot, term: 1 as Term, epoch: instance.potluck.epoch as Epoch },
      ...{ instance: instance.id as InstanceId, state: 'failed', restarts: 0, bytesTotal: 0 },
      ...{ bytesDone: 0, bytesFromCaches: 0, bytesFromPeers: 0, bytesServed: 0 },
      ...changes,
    } as InstanceReport
  }
  const beat = (instances: readonly InstanceReport[] = []): Beat & { type: 'beat' } => ({
    ...{ type: 'beat', seq: 1, bundles: [], misbehaviour: [] },
    instances: [...instances],
  })

  it('is refused when it does not say who it is, or says it falsely', async () => {
    const hello = kept.stranger.hello(kept.network)
    const other = createSigner(new Uint8Array(randomBytes(32)))
    const forged = other.sign('node-keys', hello.keys.payload)
    expect(await refusal([beat()])).to.equal('HELLO_EXPECTED')
    expect(await refusal([{ ...hello, role: 'cache' }])).to.equal('NOT_IN_ROSTER')
    expect(await refusal([{ ...hello, keys: forged }])).to.match(/SIGNATURE|KEYS/)
    expect(await refusal([hello, hello])).to.equal('HELLO_TWICE')
    const resolved = { type: 'resolved', id: randomUUID() } as UpMessage
    expect(await refusal([hello, resolved])).to.equal('WRONG_ROLE')
    expect(await refusal([hello, ...Array(500).fill(beat())])).to.equal('TOO_FAST')
  })

  it("cannot speak of others' slots", async () => {
    const { stranger, network, coordinator, slot } = kept
    const channel = await stranger.control(coordinator)
    const order = orderPayload(
      { network: network.network, node: stranger.peer },
      { epoch: 99 as Epoch },
    )
    const held = [
      { order: stranger.signer.sign('allocation', order), report: report({ epoch: 99 as Epoch }) },
    ]
    await channel.write(stranger.hello(network, { held }), soon())
    expect((await channel.read(soon())).message.type).to.equal('welcome')
    for (const message of [
      { type: 'report', instance: report() },
      { type: 'report', instance: report({ epoch: 99 as Epoch }) },
      beat([report(), report({ epoch: 99 as Epoch, state: 'running' })]),
      { type: 'order-answer', slot, term: 1, epoch: 1, refusal: { code: 'NO', message: '' } },
      { type: 'goodbye', reason: 'theirs', slots: [slot] },
    ] as UpMessage[]) {
      await channel.write(message, soon())
    }
    await sleep(1_000)
    channel.abort(new Error('done'))
    await kept.untouched()
  })
})
