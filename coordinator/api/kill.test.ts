/** What the API acknowledged outlives `kill -9` at that very moment. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect } from 'chai'
import { createLevelStore } from '../../protocol/store/index.ts'
import { containers, groupBody, startApi } from './api.fixture.ts'

const queues = '/organizations/acme/projects/web/queues'

describe('coordinator/api: kill -9', () => {
  let path: string
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'potluck-api-'))
  })
  afterEach(() => rm(path, { recursive: true, force: true }))

  it('keeps every group whose 201, 200 or 202 was seen', async function () {
    this.timeout(60_000)
    const names = Array.from({ length: 3 }, (_, index) => `group-${index}`)
    for (const name of names) await createAndKill(path, name)

    const store = await createLevelStore({ path })
    const { app, groups } = await startApi({ store })
    const found = groups.all().map((group) => [group.name, group.replicas, group.desired])
    expect(found.sort()).to.deep.equal(names.map((name) => [name, 7, 'stopped']))
    for (const group of groups.all()) expect(groups.openEnv(group)).to.deep.equal({ A: '1' })
    await app.close()
    await store.close()
  })

  it('keeps every job whose 201 was seen, and cancelled where a 202 was', async function () {
    this.timeout(60_000)
    const acknowledged = new Map<string, string>()
    for (const _ of [1, 2, 3]) await jobsUntilKilled(path, acknowledged)
    expect(acknowledged.size).to.be.at.least(60)

    const store = await createLevelStore({ path })
    const api = await startApi({ store })
    for (const [id, state] of acknowledged) {
      const job = await api.call('GET', `${queues}/work/jobs/${id}`)
      expect(job.statusCode, job.body).to.equal(200)
      // A cancellation may be on the disk though its answer was lost.
      const { status } = job.json()
      if (state === 'cancelled') expect(status).to.equal('cancelled')
      else expect(status).to.be.oneOf(['pending', 'cancelled'])
    }
    await api.app.close()
    await store.close()
  })
})

type Request = (method: string, path: string, body?: unknown) => Promise<Response>

/** Another life of the API over the store at `path`; ends by `kill -9` when `work` is done. */
async function liveAndDie(path: string, work: (request: Request) => Promise<void>): Promise<void> {
  const file = join(import.meta.dirname, 'kill.fixture.ts')
  const child = spawn(process.execPath, [file, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await once(createInterface(child.stdout), 'line')
    const { port, key } = JSON.parse(line)
    await work((method, suffix, body) =>
      fetch(`http://127.0.0.1:${port}/api/public${suffix}`, {
        method,
        headers: { 'salad-api-key': key, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
  } finally {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

function createAndKill(path: string, name: string): Promise<void> {
  return liveAndDie(path, async (request) => {
    const status = async (...asked: Parameters<Request>) => (await request(...asked)).status
    const body = groupBody({ name }, { environment_variables: { A: '1' } })
    expect(await status('POST', containers, body)).to.equal(201)
    expect(await status('PATCH', `${containers}/${name}`, { replicas: 7 })).to.equal(200)
    expect(await status('POST', `${containers}/${name}/stop`)).to.equal(202)
  })
}

/** Jobs made and cancelled, all at once, until a kill in the midst of it; what was acknowledged. */
async function jobsUntilKilled(path: string, acknowledged: Map<string, string>): Promise<void> {
  const jobs = `${queues}/work/jobs`
  await liveAndDie(path, async (request) => {
    const enough = Promise.withResolvers<void>()
    const more = acknowledged.size + 20
    const one = async (input: number): Promise<void> => {
      const made = await request('POST', jobs, { input })
      const { id } = (await made.json()) as { id: string }
      if (made.status === 201) acknowledged.set(id, 'pending')
      if (acknowledged.size >= more) enough.resolve()
      if (input % 2 === 0) return
      const { status } = await request('DELETE', `${jobs}/${id}`)
      if (status === 202) acknowledged.set(id, 'cancelled')
    }
    await request('POST', queues, { name: 'work' })
    const all = Array.from({ length: 60 }, (_, input) => one(input).catch(() => {}))
    await Promise.race([enough.promise, Promise.all(all)])
  })
}
