import { expect } from 'chai'
import { afterExit } from './restart-rule.ts'

const exit = { exitCode: 0, ranMs: 1_000, quickRestarts: 0 }

describe('restart rule', () => {
  it('follows the policy', () => {
    expect(afterExit('never', exit).kind).to.equal('finished')
    expect(afterExit('never', { ...exit, exitCode: 1 }).kind).to.equal('failed')
    expect(afterExit('on_failure', exit).kind).to.equal('finished')
    expect(afterExit('on_failure', { ...exit, exitCode: 1 }).kind).to.equal('restart')
    expect(afterExit('always', exit).kind).to.equal('restart')
  })

  it('backs off, gives up on a crash loop, and starts anew after a steady run', () => {
    const verdict = (quickRestarts: number, ranMs = 1_000) =>
      afterExit('always', { exitCode: 1, ranMs, quickRestarts })
    expect(verdict(0)).to.deep.equal({ kind: 'restart', afterMs: 1_000 })
    expect(verdict(3)).to.deep.equal({ kind: 'restart', afterMs: 8_000 })
    expect(verdict(5)).to.deep.equal({ kind: 'failed' })
    expect(verdict(5, 60_000)).to.deep.equal({ kind: 'restart', afterMs: 1_000 })
  })
})
