/**
 * What happens to a network: homes that come and go, lines that are cut in one direction, processes
 * that die or hang, machines that sleep, a coordinator that is killed. Drawn from the seed.
 */

import type { SimNode } from './node.ts'
import type { Simulation } from './simulation.ts'

/** Of one node, per hour. */
export type FaultRates = Readonly<{
  crash: number
  power: number
  leave: number
  suspend: number
  freeze: number
  cut: number
  cutOneWay: number
  /** Of the coordinator, per hour. */
  coordinatorCrash: number
}>

/** A node's fault each five hours, the coordinator killed each two. */
export const usualRates: FaultRates = {
  ...{ crash: 0.03, power: 0.03, leave: 0.04, suspend: 0.03, freeze: 0.02 },
  ...{ cut: 0.03, cutOneWay: 0.02, coordinatorCrash: 0.5 },
}

const hourMs = 3_600_000

type Fault = Readonly<{
  name: keyof FaultRates
  lastsMs: readonly [number, number]
  begin: (node: SimNode) => void
  end: (node: SimNode) => void
}>

/** Plans faults from now on until `untilMs`. */
export function planFaults(world: Simulation, rates: FaultRates, untilMs: number): void {
  const { timeline, random, coordinator, network } = world
  const between = ([min, max]: readonly [number, number]): number => min * (max / min) ** random()
  const { machine: centre } = coordinator
  const faults: readonly Fault[] = [
    {
      name: 'crash',
      lastsMs: [200, 30_000],
      begin: (node) => node.crash(),
      end: (node) => void node.start(),
    },
    {
      name: 'power',
      lastsMs: [10_000, hourMs],
      begin: (node) => node.powerOff(),
      end: (node) => void node.powerOn(),
    },
    {
      name: 'leave',
      lastsMs: [60_000, 4 * hourMs],
      begin: (node) => void node.leave(),
      end: (node) => void node.start(),
    },
    {
      name: 'suspend',
      lastsMs: [2_000, hourMs],
      begin: (node) => node.suspend(),
      end: (node) => node.resume(),
    },
    {
      name: 'freeze',
      lastsMs: [1_000, 300_000],
      begin: (node) => node.freeze(),
      end: (node) => node.thaw(),
    },
    {
      name: 'cut',
      lastsMs: [500, 600_000],
      begin({ machine }) {
        network.cut(machine, centre)
        network.cut(centre, machine)
      },
      end({ machine }) {
        network.heal(machine, centre)
        network.heal(centre, machine)
      },
    },
    {
      name: 'cutOneWay',
      lastsMs: [500, 600_000],
      begin({ machine }) {
        if (random() < 0.5) network.cut(machine, centre)
        else network.cut(centre, machine)
      },
      end({ machine }) {
        network.heal(machine, centre)
        network.heal(centre, machine)
      },
    },
  ]
  const total = faults.reduce((sum, { name }) => sum + rates[name], 0) * world.nodes.length
  const draw = (): Fault => {
    let left = random() * faults.reduce((sum, { name }) => sum + rates[name], 0)
    for (const fault of faults) {
      left -= rates[fault.name]
      if (left < 0) return fault
    }
    return faults.at(-1) as Fault
  }
  const wait = (perHour: number): number => (-Math.log(1 - random()) * hourMs) / perHour

  const nextFault = (): void => {
    if (timeline.nowMs >= untilMs || total === 0) return
    timeline.after(wait(total), () => {
      nextFault()
      const node = world.nodes[Math.floor(random() * world.nodes.length)]
      // One thing at a time: each begins on a node that is well.
      if (!node || timeline.nowMs >= untilMs || world.troubled.has(node) || !node.isUp) return
      const { name, lastsMs, begin, end } = draw()
      const forMs = Math.min(between(lastsMs), untilMs - timeline.nowMs)
      world.troubled.add(node)
      world.note(`${name} ${node.machine.name} for ${Math.round(forMs)} ms`, node)
      begin(node)
      timeline.after(forMs, () => {
        world.note(`${name} ${node.machine.name} over`, node)
        world.troubled.delete(node)
        end(node)
      })
    })
  }
  const nextCrash = (): void => {
    if (rates.coordinatorCrash === 0) return
    timeline.after(wait(rates.coordinatorCrash), () => {
      nextCrash()
      if (timeline.nowMs >= untilMs || !coordinator.isUp) return
      const forMs = between([200, 30_000])
      world.note(`coordinator killed for ${Math.round(forMs)} ms`)
      coordinator.crash()
      timeline.after(forMs, () => {
        world.note('coordinator starts')
        void world.startCoordinator()
      })
    })
  }
  nextFault()
  nextCrash()
}
