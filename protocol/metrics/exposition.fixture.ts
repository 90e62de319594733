/**
 * Prometheus's text format, read as strictly as promtool reads it: what this takes, a scraper takes.
 * Source: prometheus/docs, "Exposition formats", text-based format 0.0.4.
 */

export type ParsedSample = Readonly<{ labels: Readonly<Record<string, string>>; value: number }>
export type ParsedMetric = Readonly<{
  type: 'counter' | 'gauge' | 'histogram' | 'summary'
  help: string
  samples: readonly ParsedSample[]
}>

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const helpLine = new RegExp(`^# HELP (${name}) (.+)$`)
const typeLine = new RegExp(`^# TYPE (${name}) (counter|gauge|histogram|summary)$`)
const sampleLine = new RegExp(`^(${name})(?:\\{(.*)\\})? (\\S+)$`)
const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/

/** Metrics by name; parts of a histogram or summary count to theirs. @throws the line that is wrong. */
export function parseExposition(text: string): ReadonlyMap<string, ParsedMetric> {
  const metrics = new Map<string, ParsedMetric & { samples: ParsedSample[] }>()
  const seen = new Set<string>()
  let help: RegExpExecArray | null = null
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  for (const line of text.split('\n').filter(Boolean)) {
    const wrong = (why: string): never => {
      throw new Error(`${why}: ${line}`)
    }
    if (line.startsWith('# HELP')) {
      help = helpLine.exec(line) ?? wrong('no help')
      continue
    }
    const [, typed, type] = typeLine.exec(line) ?? []
    if (typed !== undefined) {
      if (help?.[1] !== typed) wrong('a type without its help before it')
      if (metrics.has(typed)) wrong('a metric twice')
      metrics.set(typed, {
        type: type as ParsedMetric['type'],
        help: help?.[2] ?? '',
        samples: [],
      })
      continue
    }
    const [, series = '', inner = '', number = ''] = sampleLine.exec(line) ?? wrong('no sample')
    const metric = metrics.get(series) ?? metrics.get(series.replace(/_(bucket|sum|count)$/, ''))
    if (!metric || seen.has(`${series}{${inner}}`)) return wrong('a sample of no metric, or twice')
    seen.add(`${series}{${inner}}`)
    const value = Number(number.replace('+Inf', 'Infinity').replace('-Inf', '-Infinity'))
    // Go's ParseFloat takes it in any case, and prom-client writes `Nan`.
    if (Number.isNaN(value) && number.toLowerCase() !== 'nan') wrong('no number')
    if (metric.type === 'counter' && !(value >= 0)) wrong('a counter below 0')
    metric.samples.push({ labels: parseLabels(inner, wrong), value })
  }
  return metrics
}

function parseLabels(inner: string, wrong: (why: string) => never): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let rest = inner; rest !== ''; ) {
    const [whole, key = '', value = ''] = label.exec(rest) ?? wrong('no label')
    if (key in labels) wrong('a label twice')
    labels[key] = value
    rest = rest.slice(whole.length)
  }
  return labels
}
