/** Durations, byte sizes and bit rates as people write them. */

const msPerUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
type TimeUnit = keyof typeof msPerUnit

/** `500ms`, `15s`, `1h30m`, `2.5 h` in whole milliseconds; undefined when it is none. */
export function parseDurationMs(text: string): number | undefined {
  const plain = text.trim().toLowerCase()
  if (!/^(?:\d{1,16}(?:\.\d{1,9})?\s*(?:ms|s|m|h|d)\s*)+$/.test(plain)) return undefined
  const parts = plain.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)
  const ms = Array.from(parts, ([, count, unit]) => Number(count) * msPerUnit[unit as TimeUnit])
  const sum = Math.round(ms.reduce((a, b) => a + b, 0))
  return Number.isSafeInteger(sum) ? sum : undefined
}

/** The shortest way to write it that {@link parseDurationMs} reads back: `90s`, `1h`, `1500ms`. */
export function formatDuration(ms: number): string {
  const units = Object.entries(msPerUnit).toReversed()
  const [unit, size] = units.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

const prefixes = ['', 'k', 'm', 'g', 't', 'p']

/** What `unlimited` means where a rate is asked for: more than any line has. */
export const unlimitedBitsPerS = Number.MAX_SAFE_INTEGER
const rateUnits = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 } as const

/**
 * `10mbit`, `1.5 Gbit/s`, `800kbit` in bits a second, as providers sell lines; `unlimited`;
 * undefined when it is none. Bytes (`10MB`) are none: guessing would be wrong by a factor of 8.
 */
export function parseBitRate(text: string): number | undefined {
  const plain = text.trim().toLowerCase()
  if (plain === 'unlimited') return unlimitedBitsPerS
  const match = /^(\d{1,16}(?:\.\d{1,9})?)\s*([kmgt]?bit)(?:\/s)?$/.exec(plain)
  if (!match) return undefined
  const bits = Math.round(Number(match[1]) * rateUnits[match[2] as keyof typeof rateUnits])
  return Number.isSafeInteger(bits) ? bits : undefined
}

/** The shortest exact way to write it that {@link parseBitRate} reads back: `10mbit`. */
export function formatBitRate(bitsPerS: number): string {
  if (bitsPerS >= unlimitedBitsPerS) return 'unlimited'
  const units = Object.entries(rateUnits).toReversed()
  const [unit, size] = units.find(([, one]) => bitsPerS >= one && bitsPerS % one === 0) ?? [
    'bit',
    1,
  ]
  return `${bitsPerS / size}${unit}`
}

/** `50GB` = 50 × 1000³, `64 KiB` = 64 × 1024, `512` in bytes; undefined when it is none. */
export function parseByteSize(text: string): number | undefined {
  const form = /^(\d{1,16}(?:\.\d{1,9})?)\s*(?:([kmgtp]?)(i?)b?)$/i
  const match = form.exec(text.trim())
  if (!match) return undefined
  const [, count, prefix = '', binary = ''] = match
  // "5i" has no meaning.
  if (binary && !prefix) return undefined
  const bytes = Math.round(
    Number(count) * (binary ? 1024 : 1000) ** prefixes.indexOf(prefix.toLowerCase()),
  )
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** The shortest exact way to write it that {@link parseByteSize} reads back: `50GB`, `64KiB`. */
export function formatByteSize(bytes: number): string {
  for (let power = prefixes.length - 1; power > 0; power--) {
    for (const [base, suffix] of [
      [1000, 'B'],
      [1024, 'iB'],
    ] as const) {
      const size = base ** power
      if (bytes >= size && bytes % size === 0) {
        const prefix = prefixes[power] ?? ''
        return `${bytes / size}${base === 1000 && power === 1 ? 'k' : prefix.toUpperCase()}${suffix}`
      }
    }
  }
  return `${bytes}B`
}
