/** Numbers and tables as people read them. */

/** `79.2 MB`, of 10^6 bytes; `402 B` */
export function bytesText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** Columns aligned; the first row is the head. A column of which every cell is a size aligns right. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(...rows.map(({ length }) => length))
  const cellsOf = (column: number): string[] => rows.map((row) => row[column] ?? '')
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...cellsOf(column).map(({ length }) => length)),
  )
  const isNumeric = widths.map((_, column) =>
    cellsOf(column)
      .slice(1)
      .every((cell) => /^(\d+(\.\d+)?( (B|kB|MB))?)?$/.test(cell)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

const barWidth = 28

/** `████████░░░░░░░░` */
export function barText(done: number, total: number): string {
  const share = total > 0 ? Math.min(1, done / total) : 0
  const full = Math.round(share * barWidth)
  return '█'.repeat(full) + '░'.repeat(barWidth - full)
}

/** ` 67%`, never 100% before it is done. */
export function percentText(done: number, total: number): string {
  const percent = total > 0 ? Math.floor((100 * Math.min(done, total)) / total) : 0
  return `${String(percent).padStart(3)}%`
}

export function shorten(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}
