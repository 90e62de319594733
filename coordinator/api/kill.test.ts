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
})

async function createAndKill(path: string, name: string): Promise<void> {
  const file = join(import.meta.dirname, 'kill.fixture.ts')
  const child = spawn(process.execPath, [file, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await once(createInterface(child.stdout), 'line')
    const { port, key } = JSON.parse(line)
    const request = async (method: string, suffix: string, body?: unknown): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/public${containers}${suffix}`, {
        method,
        headers: { 'salad-api-key': key, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return answer.status
    }
    const body = groupBody({ name }, { environment_variables: { A: '1' } })
    expect(await request('POST', '', body)).to.equal(201)
    expect(await request('PATCH', `/${name}`, { replicas: 7 })).to.equal(200)
    expect(await request('POST', `/${name}/stop`)).to.equal(202)
  } finally {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}
