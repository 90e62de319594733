/** The API as a stranger or a tenant asks it, answers taken as they come: errors are the matter. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CoordinatorFacts } from '../../scripts/network/index.ts'

export type Answer = Readonly<{ status: number; text: string; body: unknown }>

export type InstanceSight = Readonly<{
  id: string
  state: string
  potluck: Readonly<{ slot: number; epoch: number; node: string; bytes_done: number }>
}>

export interface Api {
  /** Below the project's containers. */
  ask(method: string, path: string, body?: unknown, apiKey?: string): Promise<Answer>
  create(group: Readonly<Record<string, unknown> & { name: string }>): Promise<Answer>
  instances(name: string): Promise<readonly InstanceSight[]>
  /** Until so many instances run. */
  running(name: string, count: number): Promise<readonly InstanceSight[]>
  /** Deletes the group, and waits until the API knows it no more. */
  remove(name: string): Promise<void>
}

const requestMs = 15_000
const pollMs = 100
const deadlineMs = 90_000

export function createApi({ baseUrl, apiKey, organization, project }: CoordinatorFacts): Api {
  const containers = `${baseUrl}/organizations/${organization}/projects/${project}/containers`
  const ask: Api['ask'] = async (method, path, body, key = apiKey) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const reply = await fetch(`${containers}${path}`, {
      method,
      headers: { 'salad-api-key': key, ...(body !== undefined && { 'content-type': type }) },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestMs),
    })
    const text = await reply.text()
    return { status: reply.status, text, body: parse(text) }
  }
  const api: Api = {
    ask,
    create: async (group) => {
      const answer = await ask('POST', '', {
        ...{ replicas: 1, autostart_policy: true, restart_policy: 'always' },
        ...group,
      })
      if (answer.status !== 201) throw new Error(`create: ${answer.status} ${answer.text}`)
      return answer
    },
    async instances(name) {
      const { body } = await ask('GET', `/${name}/instances`)
      return (body as { instances?: InstanceSight[] } | undefined)?.instances ?? []
    },
    async running(name, count) {
      let seen: readonly InstanceSight[] = []
      await until(`${count} of ${name} run`, async () => {
        seen = (await api.instances(name)).filter(({ state }) => state === 'running')
        return seen.length === count
      })
      return seen
    },
    async remove(name) {
      await ask('DELETE', `/${name}`)
      await until(`${name} is gone`, async () => (await ask('GET', `/${name}`)).status === 404)
    },
  }
  return api
}

/** Asks again and again. @throws after `waitMs`, with `what`. */
export async function until(
  what: string,
  test: () => Promise<boolean> | boolean,
  waitMs = deadlineMs,
): Promise<void> {
  const giveUpMs = performance.now() + waitMs
  for (;;) {
    if (await test()) return
    if (performance.now() > giveUpMs) throw new Error(`not so after ${waitMs} ms: ${what}`)
    await sleep(pollMs)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
