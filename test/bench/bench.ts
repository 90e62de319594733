/**
 * What a bench is: a name, what it measures against what, options, and figures as one object. The
 * runner prints progress as it goes and the object as the very last line.
 */
export type FigureValue = string | number | boolean | null
export type Figures = Readonly<Record<string, FigureValue | readonly FigureValue[]>>

/** A number above 0, a list of them (`2,10,40`), one of some words, or a flag. */
export type OptionValue = number | readonly number[] | string | boolean

export type BenchOption<Value extends OptionValue = OptionValue> = Readonly<{
  description: string
  default: Value
  /** The words that a text option takes. */
  choices?: readonly string[]
}>

export type BenchOptions = Readonly<Record<string, BenchOption>>

type Widened<Value> = Value extends number
  ? number
  : Value extends boolean
    ? boolean
    : Value extends string
      ? string
      : readonly number[]

/** What `run` is given for the options that a bench names. */
export type ValuesOf<Options extends BenchOptions> = {
  readonly [Name in keyof Options]: Widened<Options[Name]['default']>
}

export interface Bench<Options extends BenchOptions = BenchOptions> {
  readonly summary: string
  readonly options: Options
  run(options: ValuesOf<Options>, tell: (line: string) => void): Promise<Figures>
}

/** A bench whose `run` knows the types of its options. */
export function defineBench<const Options extends BenchOptions>(
  bench: Bench<Options>,
): Bench<Options> {
  return bench
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
