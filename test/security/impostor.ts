/**
 * One who stole the coordinator's identity, but not the key that signs orders: it listens where the
 * coordinator did, welcomes one node with what anybody could overhear, and says what a test wants.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Beat,
  controlLimits,
  controlProtocol,
  type DownMessage,
  downCodec,
  type InstanceReport,
  type UpMessage,
  upCodec,
} from '../../protocol/control/index.ts'
import { loadSeed } from '../../protocol/identity/index.ts'
import type { Term } from '../../protocol/ids.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import { createMesh } from '../../protocol/mesh/index.ts'
import { banListCodec, rosterCodec } from '../../protocol/orders/index.ts'
import { createSigner } from '../../protocol/signing/index.ts'
import { type Channel, openChannel } from '../../protocol/wire/index.ts'
import { until } from './api.ts'
import type { KeptGroup } from './kept-group.ts'
import { soon } from './stranger.ts'

type Welcome = Extract<DownMessage, { type: 'welcome' }>
type NodeStream = Channel<UpMessage, DownMessage>

export interface Impostor {
  /** All that the node said to it, oldest first. */
  readonly heard: readonly UpMessage[]
  /** What the node's last beat says it runs. */
  instances(): readonly InstanceReport[]
  /** A greeting with the genuine certificate and genuine lists. */
  welcome(): Promise<Welcome>
  /** A word on the node's newest stream; lost when the node has hung up. */
  send(message: DownMessage): Promise<void>
  /** Sends, and waits for the next beat, which comes behind whatever was answered. */
  say(message: DownMessage): Promise<void>
  hangUp(): void
  /** Gives way to the true coordinator. */
  stop(): Promise<void>
}

/** Kills the coordinator, takes its place, and resolves when the node with the instance has come. */
export async function startImpostor(kept: KeptGroup): Promise<Impostor> {
  const { target, network, runner } = kept
  const heard: UpMessage[] = []
  const ended = new AbortController()
  const came = Promise.withResolvers<void>()
  let stream: NodeStream | undefined
  await target.coordinator.kill()
  const seed = await loadSeed(`${target.run.path}/coordinator/identity.key`)
  const mesh = await createMesh(
    { role: 'coordinator', seed, listen: network.coordinatorAddrs, testbed: true },
    { banned: () => false, logger: silentLogger },
  )
  const welcome = async (): Promise<Welcome> => ({
    ...{ type: 'welcome', certificate: network.certificate, ...(await genuineLists(kept)) },
    ...{ timeMs: Date.now(), dhtSecret: new Uint8Array(32), observedAddr: '/ip4/127.0.0.1/tcp/1' },
  })
  await mesh.handle(controlProtocol, async (raw, { remotePeer }) => {
    if (remotePeer.toString() !== runner.peer) return raw.abort(new Error('not you'))
    const channel = openChannel(raw, { inbound: upCodec, outbound: downCodec, ...controlLimits })
    const { signal } = ended
    try {
      for (;;) {
        const { message } = await channel.read({ signal })
        heard.push(message)
        if (message.type === 'hello') {
          await channel.write(await welcome(), { signal })
          stream = channel
          came.resolve()
        }
        if (message.type === 'beat') {
          const answer = { seq: message.seq, timeMs: Date.now(), renewals: [], keysWanted: 0 }
          await channel.write({ type: 'beat-answer', ...answer }, { signal })
        }
      }
    } catch {
      // it hung up, as it should when it is lied to; it comes back
    }
  })
  const impostor: Impostor = {
    heard,
    welcome,
    instances() {
      const last = heard.findLast(({ type }) => type === 'beat') as Beat | undefined
      return last?.instances ?? []
    },
    async send(message) {
      await stream?.write(message, soon()).catch(() => undefined)
    },
    async say(message) {
      const from = heard.length
      await impostor.send(message)
      const isBeat = ({ type }: UpMessage): boolean => type === 'beat' || type === 'hello'
      await until('the node speaks', () => heard.slice(from).some(isBeat), 20_000)
    },
    hangUp: () => stream?.abort(new Error('again')),
    async stop() {
      ended.abort()
      await mesh.stop()
      target.coordinator.start()
      await target.coordinator.ready(AbortSignal.timeout(30_000))
    },
  }
  const late = sleep(30_000).then(() => Promise.reject(new Error('no node')))
  try {
    await Promise.race([came.promise, late])
  } catch (error) {
    await impostor.stop()
    throw error
  }
  return impostor
}

/** Overheard: lists are no secret, and genuine ones are taken again. */
async function genuineLists({ target, network }: KeptGroup) {
  const genuine = createSigner(await loadSeed(`${target.run.path}/coordinator/order.key`))
  const facts = { v: 1, network: network.network, term: 1 as Term, issuedMs: Date.now() } as const
  const roster = { ...facts, number: 1_000, members: [] }
  const bans = { ...facts, number: 0, previous: new Uint8Array(32), bans: [] }
  return {
    roster: genuine.sign('roster', rosterCodec.encode(roster)),
    bans: genuine.sign('ban-list', banListCodec.encode(bans)),
  }
}
