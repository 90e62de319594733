import { expect } from 'chai'
import type { PeerId } from '../ids.ts'
import { PhaseTimer } from './phases.ts'
import { createRateMeter } from './rate-meter.ts'
import { SwarmStats } from './stats.ts'

const [cache, home] = ['cache', 'home'] as [PeerId, PeerId]

describe('swarm/stats', () => {
  it('counts what came, of whom, and what of it was kept', () => {
    let nowMs = 0
    const stats = new SwarmStats({ nowMs: () => nowMs, isCache: (peer) => peer === cache })
    for (; nowMs < 30_000; nowMs += 100) {
      stats.received(cache, 1_000)
      stats.received(home, 500)
      stats.verified(cache, 900)
      stats.sent(home, 200)
    }
    const report = stats.report()
    const { verifiedBytes, downloadedBytes, uploadedBytes, peers } = report
    expect({ downloadedBytes, uploadedBytes }).to.deep.equal({
      downloadedBytes: 450_000,
      uploadedBytes: 60_000,
    })
    expect(report.downloadedFrom).to.deep.equal({ cache: 300_000, peer: 150_000 })
    expect(report.uploadedTo).to.deep.equal({ cache: 0, peer: 60_000 })
    expect(verifiedBytes).to.deep.equal({ cache: 270_000, peer: 0 })
    expect(peers.get(cache)?.downloadBytesPerS).to.be.within(9_500, 10_500)
    expect(peers.get(home)?.uploadBytesPerS).to.be.within(1_900, 2_100)
    nowMs += 60_000
    expect(stats.report().peers.get(cache)?.downloadBytesPerS).to.equal(0)
  })

  it('loses nothing of the sums when it forgets a peer', () => {
    const stats = new SwarmStats({ nowMs: () => 0, isCache: () => false })
    for (let number = 0; number < 5_000; number++) stats.sent(`peer${number}` as PeerId, 10)
    const { uploadedTo, uploadedBytes, peers } = stats.report()
    expect(peers.size).to.be.below(5_000)
    expect(uploadedTo).to.deep.equal({ cache: 0, peer: 50_000 })
    expect(uploadedBytes).to.equal(50_000)
  })

  it('sums up where the time of downloads went', () => {
    const stats = new SwarmStats({ nowMs: () => 0, isCache: () => false })
    const timer = new PhaseTimer(100)
    timer.enter('descriptorMs', 150)
    timer.enter('chunksMs', 170)
    timer.enter('descriptorMs', 180)
    timer.enter('endgameMs', 1_170)
    stats.spent(timer.times(1_180))
    const resumed = new PhaseTimer(0)
    resumed.enter('chunksMs', 5)
    stats.spent(resumed.times(10))
    expect(stats.report().phases).to.deep.equal({
      ...{ findingPeersMs: 55, descriptorMs: 20, chunksMs: 1_005, endgameMs: 10 },
    })
  })

  it('measures a rate that forgets', () => {
    const meter = createRateMeter()
    expect(meter.bytesPerS(1_000)).to.equal(0)
    meter.add(5_000, 1_000)
    expect(meter.bytesPerS(1_000)).to.equal(1_000)
    expect(meter.bytesPerS(60_000)).to.equal(0)
  })
})
