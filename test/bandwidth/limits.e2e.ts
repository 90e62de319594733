import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { PeerAddress } from '../../protocol/mesh/index.ts'
import {
  countLeftovers,
  createRunFolder,
  createStreet,
  findLeftovers,
  type Home,
  type RunFolder,
  type Street,
} from '../../scripts/street/index.ts'
import { lineRate, startHost, type TestHost } from './host.ts'

/** What had been sent or asked for under the limit before. */
const settleMs = 700
const windowMs = 3_000

describe('limits of a chef’s line', function () {
  this.timeout(60_000)
  let run: RunFolder
  let street: Street
  const hosts: TestHost[] = []

  before(async () => {
    run = await createRunFolder()
    street = await createStreet({ run })
  })
  after(async () => {
    await Promise.all(hosts.map((host) => host.stop()))
    await street.dispose()
    await rm(run.path, { recursive: true, force: true })
    const left = await findLeftovers({ run, namespaces: street.namespaces.all() })
    expect(countLeftovers(left), JSON.stringify(left)).to.equal(0)
  })
  const hostAt = async (at: Home): Promise<TestHost> => {
    // Counted as on a real line: every packet with its head, not one head for a segment of 64 KiB.
    await at.namespace.script('ip link set eth0 gso_max_segs 1')
    const host = startHost(at)
    hosts.push(host)
    return host
  }

  it('hold on the wire, both ways, also when they change in mid-transfer', async () => {
    const [giver, taker] = [
      await street.addHome({ label: 'giver' }),
      await street.addHome({ label: 'taker' }),
    ]
    const [holder, fetcher] = [await hostAt(giver), await hostAt(taker)]
    const limits = { uploadBytesPerS: 1e6 }
    const bytes = 64_000_000
    const held = await holder.ask<PeerAddress & { bundle: string }>({
      ...{ do: 'serve', ip: giver.ipv4, bytes, limits },
    })
    const from = { peer: held.peer, addresses: held.addresses }
    await fetcher.ask({ do: 'fetch', bundle: held.bundle, from, hosts: 1 })
    const shares: Record<string, number> = {}
    const upload = async (name: string, limit: number): Promise<void> => {
      await sleep(settleMs)
      shares[name] = (await lineRate(holder, windowMs)).outBytesPerS / limit
    }
    const download = async (name: string, limit: number): Promise<void> => {
      await sleep(settleMs)
      shares[name] = (await lineRate(fetcher, windowMs)).inBytesPerS / limit
    }
    await upload('upload of 8 Mbit/s', 1e6)
    await holder.ask({ do: 'limits', limits: { uploadBytesPerS: 3e6 } })
    await upload('raised to 24', 3e6)
    await fetcher.ask({ do: 'limits', limits: { downloadBytesPerS: 4e6 } })
    await holder.ask({ do: 'limits', limits: {} })
    await download('download of 32 Mbit/s', 4e6)
    await fetcher.ask({ do: 'limits', limits: { downloadBytesPerS: 0.5e6 } })
    await download('lowered to 4', 0.5e6)
    for (const [name, share] of Object.entries(shares)) {
      expect(share, `${name}: ${JSON.stringify(shares)}`).to.be.within(0.95, 1.03)
    }
  })
})
