import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { createScreen, type Row } from './screen.ts'

const row = (change: Partial<Row>): Row => ({
  ...{ name: 'node1', state: 'downloading', doneBytes: 0, totalBytes: 1_000_000, note: '' },
  ...change,
})

describe('scripts/demo screen', () => {
  const screenOf = (isTTY: boolean) => {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 100, rows: 40 })
    const written = (): string => (stream.read() as Buffer | null)?.toString() ?? ''
    return { screen: createScreen(stream), written }
  }

  it('writes a plain line at each new state and each quarter, and no other', () => {
    const { screen, written } = screenOf(false)
    for (let percent = 0; percent <= 100; percent++) {
      screen.rows([row({ doneBytes: percent * 10_000 })])
    }
    screen.rows([row({ doneBytes: 1_000_000, state: 'running' })])
    screen.settle()
    screen.rows([row({ doneBytes: 1_000_000, state: 'running' })])
    const lines = written().trimEnd().split('\n')
    expect(lines).to.have.length(6)
    expect(lines[2]).to.contain('50% of 1.0 MB')
    expect(lines[5]).to.contain('running')
  })

  it('writes no escape codes where there is no terminal', () => {
    const { screen, written } = screenOf(false)
    screen.title('Title')
    screen.verdict('✔ held', true)
    screen.rows([row({})])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(written()).not.to.match(/\u001b/)
  })

  it('draws bars on a terminal, and keeps lines above them', () => {
    const { screen, written } = screenOf(true)
    screen.rows([row({ doneBytes: 500_000 })])
    screen.line('a line')
    screen.settle()
    const text = written()
    expect(text).to.contain('██████████████░░░░░░░░░░░░░░  50%')
    expect(text.lastIndexOf('a line')).to.be.lessThan(text.lastIndexOf('█'))
  })
})
