/**
 * Where the demo tells its story: bars that are redrawn in place on a terminal, elsewhere a plain
 * line whenever something has changed that is worth one.
 */
import { styleText } from 'node:util'
import { createLogUpdate } from 'log-update'
import { barText, bytesText, percentText } from './text.ts'

/** Something that is on its way. */
export type Row = Readonly<{
  name: string
  state: string
  doneBytes: number
  totalBytes: number
  note: string
}>

export interface Screen {
  /** Begins a chapter. */
  title(text: string): void
  line(text: string): void
  /** Good or bad is a word or a sign in the text; the colour only repeats it. */
  verdict(text: string, isGood: boolean): void
  /** How things stand, instead of what was shown before. */
  rows(rows: readonly Row[]): void
  /** Leaves the rows as they are last seen. */
  settle(): void
}

type Stream = Pick<NodeJS.WriteStream, 'isTTY' | 'write'> & NodeJS.WritableStream

export function createScreen(stream: Stream): Screen {
  const style = (format: 'bold' | 'green' | 'red', text: string): string =>
    styleText(format, text, { stream })
  const area = stream.isTTY ? liveArea(stream) : changeLines(stream)
  const line = (text: string): void => area.above(`${text}\n`)
  return {
    title(text) {
      area.settle()
      line(`\n${style('bold', text)}`)
    },
    line: (text) => line(text ? `  ${text}` : ''),
    verdict: (text, isGood) => line(`  ${style(isGood ? 'green' : 'red', text)}`),
    rows: area.show,
    settle: area.settle,
  }
}

type Area = Readonly<{
  above: (text: string) => void
  show: (rows: readonly Row[]) => void
  settle: () => void
}>

function liveArea(stream: Stream): Area {
  const update = createLogUpdate(stream)
  let shown = ''
  return {
    above(text) {
      update.clear()
      stream.write(text)
      if (shown) update(shown)
    },
    show(rows) {
      const text = rows.map(barLine).join('\n')
      if (text === shown) return
      shown = text
      update(shown)
    },
    settle() {
      if (shown) update.done()
      shown = ''
    },
  }
}

function barLine({ name, state, doneBytes, totalBytes, note }: Row): string {
  const bar = barText(doneBytes, totalBytes)
  const percent = percentText(doneBytes, totalBytes)
  return `  ${name.padEnd(9)} ${bar} ${percent}  ${state.padEnd(12)} ${note}`
}

/** A line at each new state and each quarter of the way; nothing is told twice. */
function changeLines(stream: Stream): Area {
  const told = new Map<string, string>()
  return {
    above: (text) => stream.write(text),
    show(rows) {
      for (const { name, state, doneBytes, totalBytes, note } of rows) {
        const quarter = totalBytes > 0 ? Math.floor((4 * doneBytes) / totalBytes) : 0
        const key = `${state} ${quarter}`
        if (told.get(name) === key) continue
        told.set(name, key)
        const amount =
          totalBytes > 0 ? `${percentText(doneBytes, totalBytes)} of ${bytesText(totalBytes)}` : ''
        stream.write(`  ${[name.padEnd(9), state.padEnd(12), amount, note].join(' ').trimEnd()}\n`)
      }
    },
    settle: () => {}, // what was told stays told
  }
}
