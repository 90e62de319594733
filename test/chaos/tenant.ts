/**
 * A tenant who never gives up: each write is repeated until it is acknowledged, as a client of an
 * API that may be down does. What was acknowledged must hold from then on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoordinatorFacts } from '../../scripts/network/index.ts'

export type InstanceSight = Readonly<{
  id: string
  state: string
  potluck: Readonly<{
    slot: number
    term: number
    epoch: number
    node: string
    bytes_total: number
    bytes_done: number
    fault?: Readonly<{ code: string; message: string }>
  }>
}>

export type GroupSight = Readonly<{
  id: string
  replicas: number
  current_state: Readonly<{ status: string; description: string | null }>
  potluck: Readonly<{
    image: Readonly<{ state: string; bytes_done: number; bytes_total: number }>
  }>
}>

/** 'gone': the API says that there is none. 'down': nobody answers. */
export type Look =
  | Readonly<{ is: 'there'; group: GroupSight; instances: readonly InstanceSight[] }>
  | Readonly<{ is: 'gone' | 'down' }>

export interface Tenant {
  /** @throws after `writeMs`, or the API's refusal */
  create(name: string, image: string, replicas: number): Promise<void>
  scale(name: string, replicas: number): Promise<void>
  stop(name: string): Promise<void>
  start(name: string): Promise<void>
  remove(name: string): Promise<void>
  look(name: string): Promise<Look>
}

const writeMs = 60_000
const requestMs = 5_000
const pauseMs = 50

type Answer = Readonly<{ status: number; body: unknown }>

export function createTenant(facts: CoordinatorFacts): Tenant {
  const { baseUrl, apiKey, organization, project } = facts
  const containers = `${baseUrl}/organizations/${organization}/projects/${project}/containers`

  /** Undefined when nobody answered. */
  const ask = async (method: string, path: string, body?: object): Promise<Answer | undefined> => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    try {
      const reply = await fetch(`${containers}${path}`, {
        method,
        headers: { 'salad-api-key': apiKey, ...(body && { 'content-type': type }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(requestMs),
      })
      const text = await reply.text()
      return { status: reply.status, body: text ? JSON.parse(text) : undefined }
    } catch {
      return undefined
    }
  }
  /** Until it is acknowledged; `isDone`: what a repeated request may be told instead. */
  const write = async (
    method: string,
    path: string,
    body: object | undefined,
    isDone: (status: number) => boolean,
  ): Promise<void> => {
    const giveUpMs = performance.now() + writeMs
    for (;;) {
      const answer = await ask(method, path, body)
      if (answer && (answer.status < 300 || isDone(answer.status))) return
      if (answer && answer.status < 500) {
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
      }
      if (performance.now() > giveUpMs)
        throw new Error(`${method} ${path}: not taken in ${writeMs} ms`)
      await sleep(pauseMs)
    }
  }
  const never = (): boolean => false
  return {
    create: (name, image, replicas) =>
      write(
        'POST',
        '',
        {
          ...{ name, replicas, autostart_policy: true, restart_policy: 'always' },
          container: { image, resources: { cpu: 1, memory: 1024 } },
        },
        (status) => status === 409,
      ),
    scale: (name, replicas) => write('PATCH', `/${name}`, { replicas }, never),
    stop: (name) => write('POST', `/${name}/stop`, undefined, never),
    start: (name) => write('POST', `/${name}/start`, undefined, never),
    remove: (name) => write('DELETE', `/${name}`, undefined, (status) => status === 404),
    async look(name) {
      const group = await ask('GET', `/${name}`)
      if (group?.status === 404) return { is: 'gone' }
      const list = await ask('GET', `/${name}/instances`)
      if (group?.status !== 200 || list?.status !== 200) return { is: 'down' }
      const { instances } = list.body as { instances: readonly InstanceSight[] }
      return { is: 'there', group: group.body as GroupSight, instances }
    },
  }
}
