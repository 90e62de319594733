/**
 * Docker sends a container's two outputs as frames in one stream: a byte for which, three of zero,
 * four of length, then the bytes (Engine API, "Attach to a container"). Read as text, the headers
 * would stand in every line.
 */

const headerBytes = 8

/** The lines of a whole log, oldest first; a line that spans frames of one output is one line. */
export function logLines(log: Buffer): readonly string[] {
  const lines: string[] = []
  const open = new Map<number, string>()
  for (const { output, text } of framesOf(log)) {
    const pieces = ((open.get(output) ?? '') + text).split('\n')
    open.set(output, pieces.pop() ?? '')
    lines.push(...pieces)
  }
  lines.push(...[...open.values()].filter((rest) => rest.length > 0))
  return lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
}

function* framesOf(log: Buffer): Generator<{ readonly output: number; readonly text: string }> {
  for (let at = 0; at + headerBytes <= log.length; ) {
    const start = at + headerBytes
    const end = Math.min(log.length, start + log.readUInt32BE(at + 4))
    yield { output: log.readUInt8(at), text: log.toString('utf8', start, end) }
    at = end
  }
}
