/**
 * A tenant's life in small (deploy, scale, stop, start, delete) in which processes are killed at
 * moments that a seed draws, and come back later or not. After each kill the network must come to
 * exactly what was acknowledged: in the API, and by what the nodes themselves say they run.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { amissInApi, amissOnNodes, type Desired, heldByNodes } from './desired.ts'
import type { Member } from './member.ts'
import type { ChaosNetwork } from './network.ts'
import type { Random } from './random.ts'
import type { InstanceSight, Look, Tenant } from './tenant.ts'
import type { Watcher } from './watcher.ts'

export type ScenarioInit = Readonly<{
  kills: number
  random: Random
  /** Told of each step, for people. */
  tell: (text: string) => void
  /** At most this long from the last return of a process to the desired state. */
  deadlineMs: number
}>

export type ScenarioParts = Readonly<{ network: ChaosNetwork; tenant: Tenant; watcher: Watcher }>

export type Convergence = Readonly<{ what: string; ms: number }>

export class NotConvergedError extends Error {}
export class NeedlessReplacementError extends Error {}

/** When the kill comes: after so long, or as soon as the API shows this; then after so long again. */
type Moment = Readonly<{ when: string; afterMs: number }>

const deploying = [
  'at once',
  'pending',
  'allocating',
  'downloading',
  'creating',
  'running',
] as const
const otherwise = ['at once', 'allocating', 'creating'] as const
/** A moment that does not come (nothing downloads when all is there) is waited for so long. */
const momentMs = 3_000
/** The desired state must last for this long, to be no glimpse between two others. */
const steadyMs = 1_000
const readyMs = 60_000
const replicasMax = 3

/** @throws {NotConvergedError} with the seed's story so far in what was told. */
export async function runScenario(
  init: ScenarioInit,
  parts: ScenarioParts,
): Promise<readonly Convergence[]> {
  const { random } = init
  const { network } = parts
  const story = createStory(init, parts)
  let kills = 0
  for (let episode = 1; kills < init.kills; episode++) {
    // Who was gone for long comes back before the next: else there would be no spare left.
    await story.returnAll()
    const operation = story.draw(episode)
    const victims = drawVictims(random, network)
    const before = story.running()
    const write = operation.act()
    write.catch(() => undefined) // awaited below, after the kills
    const label: string[] = []
    for (const victim of victims) {
      label.push(await story.kill(victim, drawMoment(random, operation)))
      kills += 1
    }
    await write
    await story.converge(`${operation.text}; ${label.join('; ')}`)
    if (operation.text === 'delete' || operation.text === 'stop') continue
    story.checkKept(before, new Set(victims.map(({ peer }) => peer)))
  }
  await story.returnAll()
  await story.converge('all are back')
  return story.convergences
}

/** One or two, sometimes the same one twice. */
function drawVictims(random: Random, { coordinator, cache, nodes }: ChaosNetwork): Member[] {
  const draw = (): Member => random.pick([coordinator, coordinator, cache, ...nodes])
  const first = draw()
  if (!random.chance(0.35)) return [first]
  return [first, random.chance(0.4) ? first : draw()]
}

function drawMoment(random: Random, { text }: Operation): Moment {
  const when = random.pick(/^(create|start)/.test(text) ? deploying : otherwise)
  return { when, afterMs: random.between(0, random.pick([0, 30, 400, 2_500])) }
}

function isAt(when: string, look: Look): boolean {
  if (look.is !== 'there') return false
  const { current_state, potluck } = look.group
  if (when === 'pending') return potluck.image.state !== 'ready'
  if (when === 'running') return current_state.status === 'running'
  return look.instances.some(({ state }) => state === when)
}

type Operation = Readonly<{ text: string; act: () => Promise<void> }>

function createStory(
  { random, tell, deadlineMs }: ScenarioInit,
  { network, tenant, watcher }: ScenarioParts,
) {
  let desired: Desired = { name: '', replicas: 0, state: 'deleted' }
  const convergences: Convergence[] = []
  const returning = new Set<Promise<void>>()
  /** Killed for long: they come back before the next operation. */
  const away = new Set<Member>()

  const want = (text: string, next: Desired, act: () => Promise<void>): Operation => ({
    text,
    act() {
      desired = next
      watcher.watch(next.name)
      return act()
    },
  })
  const create = (episode: number): Operation => {
    const name = `chaos-${episode}`
    const image = `registry.example.com/chaos/app:${random.seed}-${episode}`
    return want(`create ${name}`, { name, replicas: replicasMax, state: 'running' }, () =>
      tenant.create(name, image, replicasMax),
    )
  }
  const bringBack = async (member: Member): Promise<void> => {
    away.delete(member)
    if (!member.isUp) member.start()
    await member.ready(AbortSignal.timeout(readyMs))
  }

  return {
    convergences: convergences as readonly Convergence[],
    draw(episode: number): Operation {
      const { name, replicas, state } = desired
      if (state === 'deleted') return create(episode)
      if (state === 'stopped') {
        return want('start', { ...desired, state: 'running' }, () => tenant.start(name))
      }
      const dice = random.between(1, 10)
      if (dice <= 2) {
        const next = random.pick([1, 2, 3].filter((count) => count !== replicas))
        return want(`scale from ${replicas} to ${next}`, { ...desired, replicas: next }, () =>
          tenant.scale(name, next),
        )
      }
      if (dice <= 3) return want('stop', { ...desired, state: 'stopped' }, () => tenant.stop(name))
      if (dice <= 8) {
        return want('delete', { ...desired, state: 'deleted' }, () => tenant.remove(name))
      }
      return want('nothing', desired, async () => undefined)
    },
    /** Kills at the moment, and has it come back: soon, later, or only before the next operation. */
    async kill(victim: Member, { when, afterMs }: Moment): Promise<string> {
      if (when !== 'at once') await watcher.until((look) => isAt(when, look), momentMs)
      await sleep(afterMs)
      if (!victim.isUp) {
        // Killed a moment ago: let it begin to come back, and strike again.
        if (away.has(victim)) return `${victim.name} is away`
        await untilUp(victim)
        await sleep(random.between(0, 1_500))
      }
      const starts = victim.starts
      await victim.kill()
      const staysAway = victim.role === 'node' && away.size === 0 && random.chance(0.2)
      const backMs = random.chance(0.8) ? random.between(0, 2_000) : random.between(2_000, 20_000)
      const text = `${victim.name} killed ${when} + ${afterMs} ms, ${staysAway ? 'stays away' : `back after ${backMs} ms`}`
      tell(text)
      if (staysAway) away.add(victim)
      else {
        const back = sleep(backMs).then(() => {
          if (victim.starts === starts && !victim.isUp) victim.start()
        })
        returning.add(back.finally(() => returning.delete(back)))
      }
      return text
    },
    async returnAll(): Promise<void> {
      await Promise.all(returning)
      await Promise.all(network.all.filter(({ isUp }) => !isUp).map(bringBack))
    },
    running(): readonly InstanceSight[] {
      const { look } = watcher
      return look.is === 'there' ? look.instances.filter(({ state }) => state === 'running') : []
    },
    /** What ran on nodes that were not killed still runs, as the same instance. */
    checkKept(before: readonly InstanceSight[], killed: ReadonlySet<string>): void {
      const { look } = watcher
      const now = new Set(look.is === 'there' ? look.instances.map(({ id }) => id) : [])
      for (const { id, potluck } of before) {
        if (now.has(id) || killed.has(potluck.node) || potluck.slot >= desired.replicas) continue
        throw new NeedlessReplacementError(`slot ${potluck.slot}: instance ${id} was replaced`)
      }
    },
    /** Waits until the API and the nodes show exactly what is desired. */
    async converge(what: string): Promise<void> {
      const startedMs = performance.now()
      await Promise.all(returning)
      const giveUpMs = performance.now() + deadlineMs
      let sinceMs: number | undefined
      for (;;) {
        const { look } = watcher
        const amiss =
          amissInApi(desired, look) ?? amissOnNodes(look, await heldByNodes(network.nodes))
        const nowMs = performance.now()
        if (amiss !== undefined) sinceMs = undefined
        else if (sinceMs === undefined) sinceMs = nowMs
        else if (nowMs - sinceMs > steadyMs) break
        if (amiss !== undefined && nowMs > giveUpMs) {
          throw new NotConvergedError(`${what}: not so after ${deadlineMs} ms: ${amiss}`)
        }
        await sleep(100)
      }
      const ms = Math.round((sinceMs ?? startedMs) - startedMs)
      convergences.push({ what, ms })
      tell(`${what}: ${desired.state} × ${desired.replicas} after ${ms} ms`)
    },
  }
}

async function untilUp(member: Member): Promise<void> {
  while (!member.isUp) await sleep(20)
}
