import { expect } from 'chai'
import { type Logger, silentLogger } from '../../protocol/log/index.ts'
import type { NodeConfig } from '../config.ts'
import { applySettings } from './reload.ts'

describe('node/reload', () => {
  const start = {
    ...{ region: 'local', upnp: true, listen: ['/ip4/0.0.0.0/tcp/4001'] },
    bandwidth: { schedule: [] },
    chunks: { budgetBytes: 50e9 },
  } as unknown as NodeConfig

  function reload(
    next: NodeConfig,
    setBudget = async (_bytes: number): Promise<void> => undefined,
  ) {
    const applied: unknown[] = []
    const warned: unknown[] = []
    const failed = Promise.withResolvers<unknown>()
    const logger: Logger = {
      ...silentLogger,
      warn: (fields) => warned.push(fields),
      error: failed.resolve,
    }
    applySettings(
      { start, next },
      {
        line: { apply: (bandwidth) => void applied.push(bandwidth) },
        chunks: {
          async setBudget(bytes) {
            applied.push(bytes)
            await setBudget(bytes)
          },
        },
        logger,
      },
    )
    return { applied, warned, failed: failed.promise }
  }

  it('puts bandwidth and disk budget in force, and names what waits for the next start', () => {
    const bandwidth = { uploadBitsPerS: 2e6, schedule: ['daily 01:00-07:00 upload unlimited'] }
    const next = { ...start, bandwidth, chunks: { budgetBytes: 1e9 } }
    expect(reload(next)).to.deep.include({ applied: [bandwidth, 1e9], warned: [] })
    const more = { ...next, upnp: false, listen: [...start.listen, '/ip6/::/tcp/4001'] }
    expect(reload(more)).to.deep.include({ warned: [{ later: ['upnp', 'listen'] }] })
  })

  it('goes on when the budget could not be changed, and says so', async () => {
    const full = new Error('the disk said no')
    const { failed } = reload(start, () => Promise.reject(full))
    expect(await failed).to.deep.equal({ error: full })
  })
})
