/** A client of the API with nothing but `fetch`, as `curl` would be. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ready } from './dev-process.ts'

export type Instance = Readonly<{
  id: string
  machine_id: string
  state: string
  potluck: Readonly<{ slot: number; epoch: number; node: string }>
}>

export type Group = Readonly<{
  name: string
  replicas: number
  current_state: Readonly<{ status: string; description: string | null }>
}>

const pollMs = 50

export function createClient(ready: Ready) {
  const { baseUrl, apiKey, organization, project } = ready
  const containers = `${baseUrl}/organizations/${organization}/projects/${project}/containers`

  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const reply = await fetch(`${containers}${path}`, {
      method,
      headers: {
        'salad-api-key': apiKey,
        ...(body && {
          'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        }),
      },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await reply.text()
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`)
    return (text ? JSON.parse(text) : undefined) as T
  }

  const client = {
    create: (name: string, image: string, replicas: number) =>
      call<Group>('POST', '', {
        name,
        replicas,
        autostart_policy: true,
        restart_policy: 'always',
        container: { image, resources: { cpu: 1, memory: 1024 } },
      }),
    get: (name: string) => call<Group>('GET', `/${name}`),
    scale: (name: string, replicas: number) => call<Group>('PATCH', `/${name}`, { replicas }),
    remove: (name: string) => call<void>('DELETE', `/${name}`),
    instances: async (name: string) =>
      (await call<{ instances: Instance[] }>('GET', `/${name}/instances`)).instances,
    /** Until `count` run. Asks again and again: the API has no event for it. */
    async running(name: string, count: number, deadlineMs = 60_000): Promise<Instance[]> {
      const giveUpMs = performance.now() + deadlineMs
      for (;;) {
        const instances = await client.instances(name)
        const running = instances.filter(({ state }) => state === 'running')
        if (running.length === count) return running
        if (performance.now() > giveUpMs) {
          const group = JSON.stringify((await client.get(name)).current_state)
          throw new Error(`not ${count} running: ${JSON.stringify(instances)} ${group}`)
        }
        await sleep(pollMs)
      }
    },
    async until(test: () => Promise<boolean>, deadlineMs = 60_000): Promise<void> {
      const giveUpMs = performance.now() + deadlineMs
      while (!(await test())) {
        if (performance.now() > giveUpMs) throw new Error(`not so after ${deadlineMs} ms`)
        await sleep(pollMs)
      }
    },
  }
  return client
}

export type Client = ReturnType<typeof createClient>
