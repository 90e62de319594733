/**
 * What a bench is: a name, what it measures against what, options, and figures as one object. The
 * runner prints progress as it goes and the object as the very last line.
 */
export type Figures = Readonly<Record<string, string | number | boolean | null>>

export type BenchOption = Readonly<{ description: string; default: number }>

export interface Bench {
  readonly summary: string
  readonly options: Readonly<Record<string, BenchOption>>
  run(options: Readonly<Record<string, number>>, tell: (line: string) => void): Promise<Figures>
}

/** Megabytes (10^6 bytes) a second, to two digits. */
export function megabytesPerS(bytes: number, ms: number): number {
  return round(bytes / 1e3 / ms)
}

/** CPU seconds (user and system) for each 10^9 bytes. */
export function cpuSecondsPerGB(usage: NodeJS.CpuUsage, bytes: number): number {
  return round((usage.user + usage.system) / 1e6 / (bytes / 1e9))
}

export function round(value: number): number {
  return Math.round(value * 100) / 100
}
