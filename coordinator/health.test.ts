/** Ready or not, as a load balancer asks. */
import { expect } from 'chai'
import { systemClock } from '../protocol/clock.ts'
import { startApi } from './api/api.fixture.ts'
import { createHealth } from './health.ts'

describe('coordinator: health', () => {
  const healthOf = (
    put: () => Promise<void>,
    { settled = true, inForce = true, nowMs = (): number => 0 } = {},
  ) =>
    createHealth({
      store: { put },
      clock: { ...systemClock, nowMs, sleep: () => new Promise(() => undefined) },
      settled: () => settled,
      inForce: () => inForce,
    })
  const ask = async (health: ReturnType<typeof healthOf>) => {
    const { app } = await startApi({ health })
    const answer = await app.inject('/readyz')
    await app.close()
    return { status: answer.statusCode, body: answer.json() }
  }

  it('answers without a key that it lives and is ready', async () => {
    const { app } = await startApi()
    const alive = await app.inject('/healthz')
    expect([alive.statusCode, alive.json()]).to.deep.equal([200, { status: 'alive' }])
    expect((await app.inject('/readyz')).statusCode).to.equal(200)
    await app.close()
  })

  it('says in the body that nodes still reconnect', async () => {
    const { status, body } = await ask(healthOf(async () => undefined, { settled: false }))
    expect([status, body]).to.deep.equal([
      200,
      { status: 'settling', store_writable: true, settled: false, in_force: true },
    ])
  })

  it('is not ready when the store takes no writes', async () => {
    const failing = healthOf(() => Promise.reject(new Error('no space left')))
    expect(await ask(failing)).to.deep.equal({
      status: 503,
      body: { status: 'unavailable', store_writable: false, settled: true, in_force: true },
    })
  })

  it('is not ready when it may order nothing', async () => {
    expect(await ask(healthOf(async () => undefined, { inForce: false }))).to.deep.equal({
      status: 503,
      body: { status: 'unavailable', store_writable: true, settled: true, in_force: false },
    })
  })

  it('is not ready when the disk hangs, and does not hang with it', async () => {
    const health = createHealth({
      store: { put: () => new Promise(() => undefined) },
      clock: { ...systemClock, sleep: async () => undefined },
      settled: () => true,
      inForce: () => true,
    })
    expect(await health.readiness()).to.include({ storeWritable: false })
  })

  it('writes seldom, however often it is asked', async () => {
    let writes = 0
    let nowMs = 0
    const health = healthOf(
      async () => {
        writes += 1
      },
      { nowMs: () => nowMs },
    )
    for (let n = 0; n < 100; n++) await health.readiness()
    expect(writes).to.equal(1)
    nowMs = 5_000
    await health.readiness()
    expect(writes).to.equal(2)
  })
})
