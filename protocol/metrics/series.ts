/**
 * Metrics that are read when Prometheus asks and kept nowhere else: the parts of a process count for
 * themselves, so a second set of counters could only be late or wrong.
 */
import type { Registry } from 'prom-client'

/** prom-client, which is loaded at the first scrape: a home that nobody scrapes does not carry it. */
export type PromClient = typeof import('prom-client')

export type Labels = Readonly<Record<string, string>>
/** One value, or one for each set of labels; undefined while there is none. */
export type Reading =
  | number
  | undefined
  | Iterable<Readonly<{ labels: Labels; value: number | undefined }>>

export type SeriesInit = Readonly<{
  /** Without `potluck_`. Ends in a unit; a counter's in `_total` as well. */
  name: string
  help: string
  /** Names of labels. Their values must be few and known beforehand, or bounded by who reads. */
  labels?: readonly string[]
  read: () => Reading | Promise<Reading>
}>

export interface Series {
  /** Only rises, but for restarts. */
  counter(init: SeriesInit): void
  gauge(init: SeriesInit): void
}

/** Defines metrics in `registry`. */
export function createSeries(prom: PromClient, registry: Registry): Series {
  return {
    counter(init) {
      new prom.Counter({
        ...configOf(init, registry),
        async collect() {
          const samples = samplesOf(await init.read())
          this.reset()
          if (!init.labels && samples.length === 0) this.remove()
          for (const { labels, value } of samples) this.inc({ ...labels }, Math.max(0, value))
        },
      })
    },
    gauge(init) {
      new prom.Gauge({
        ...configOf(init, registry),
        async collect() {
          const samples = samplesOf(await init.read())
          this.reset()
          if (!init.labels && samples.length === 0) this.remove()
          for (const { labels, value } of samples) this.set({ ...labels }, value)
        },
      })
    },
  }
}

function configOf({ name, help, labels = [] }: SeriesInit, registry: Registry) {
  return { name: `potluck_${name}`, help, labelNames: [...labels], registers: [registry] }
}

type Sample = Readonly<{ labels: Labels; value: number }>

function samplesOf(reading: Reading): readonly Sample[] {
  const given =
    typeof reading === 'number' || reading === undefined
      ? [{ labels: {}, value: reading }]
      : [...reading]
  return given.flatMap(({ labels, value }) =>
    value === undefined || Number.isNaN(value) ? [] : [{ labels, value }],
  )
}
