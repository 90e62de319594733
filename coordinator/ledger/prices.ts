/** The price list: what the operator asks an hour, by GPU class, CPU, memory and priority. */
import Type, { type Static } from 'typebox'
import type { ConfigProblem } from '../../protocol/config/index.ts'
import { type GpuClass, gpuClasses } from '../groups/gpu-classes.ts'
import { microsPerHourMax } from './terms.ts'

export type Priority = 'high' | 'medium' | 'low' | 'batch'

const micros = (description: string, value: number) =>
  Type.Integer({ description, default: value, minimum: 0, maximum: 1_000_000_000 })
const percent = (description: string, value: number) =>
  Type.Integer({ description, default: value, minimum: 0, maximum: 1_000 })

/** Section `prices`. Micro-units of whatever the network's unit of account is. */
export const pricesSettings = Type.Object({
  cpuMicrosPerHour: micros('micro-units an hour of a CPU core', 4_000),
  memoryGibMicrosPerHour: micros('micro-units an hour of a GiB of memory', 1_000),
  gpuGibMicrosPerHour: micros('micro-units an hour of a GPU, for each GiB of its memory', 10_000),
  gpuClasses: Type.Array(
    Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}=[0-9]{1,9}$' }),
    {
      description:
        'GPU classes with a price of their own: ID=MICRO-UNITS an hour, as gpu-classes lists ids',
      default: [],
    },
  ),
  highPercent: percent('what priority high costs, in percent of the list price', 100),
  mediumPercent: percent('what priority medium costs', 80),
  lowPercent: percent('what priority low costs', 60),
  batchPercent: percent('what priority batch costs', 50),
  chefPercent: Type.Integer({
    description: "the chef's share of what an instance costs",
    default: 70,
    minimum: 0,
    maximum: 100,
  }),
  heldDays: Type.Integer({
    description: "days for which a chef's earnings are held back",
    default: 7,
    minimum: 0,
    maximum: 365,
  }),
})
export type PricesSettings = Static<typeof pricesSettings>

export interface Prices {
  /** Of the GPU alone, micro-units an hour. */
  gpuMicrosPerHour(gpuClass: GpuClass, priority: Priority): number
  /** Of all of an instance. */
  microsPerHour(
    instance: Readonly<{
      milliCpus: number
      memoryBytes: number
      gpuClasses: readonly GpuClass[]
      priority: Priority | undefined
    }>,
  ): number
}

export function createPrices(settings: PricesSettings): Prices {
  const own = new Map(
    settings.gpuClasses.map((text) => {
      const [id = '', price = ''] = text.split('=')
      return [id, Number(price)]
    }),
  )
  const percents: Readonly<Record<Priority, number>> = {
    ...{ high: settings.highPercent, medium: settings.mediumPercent },
    ...{ low: settings.lowPercent, batch: settings.batchPercent },
  }
  const listed = ({ id, vramGib }: GpuClass): number =>
    own.get(id) ?? settings.gpuGibMicrosPerHour * vramGib
  const at = (listPrice: number, priority: Priority): number =>
    Math.min(microsPerHourMax, Math.floor((listPrice * percents[priority]) / 100))
  return {
    gpuMicrosPerHour: (gpuClass, priority) => at(listed(gpuClass), priority),
    microsPerHour({ milliCpus, memoryBytes, gpuClasses: classes, priority = 'high' }) {
      const cpu = (settings.cpuMicrosPerHour * milliCpus) / 1_000
      const memory = settings.memoryGibMicrosPerHour * (memoryBytes / 2 ** 30)
      const gpus = classes.reduce((sum, item) => sum + listed(item), 0)
      return at(cpu + memory + gpus, priority)
    },
  }
}

/** A GPU class that does not exist, and so would never be charged as meant. */
export function priceProblems({ gpuClasses: texts }: PricesSettings): ConfigProblem[] {
  const known = new Set(gpuClasses.map(({ id }) => id))
  return texts.flatMap((text) => {
    const [id = ''] = text.split('=')
    if (known.has(id)) return []
    return [
      {
        key: 'prices.gpuClasses',
        message: `${id} is no GPU class; GET …/gpu-classes lists those that there are`,
      },
    ]
  })
}
