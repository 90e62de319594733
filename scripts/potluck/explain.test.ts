import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { Command } from 'commander'
import type { ExplanationJson } from '../../coordinator/api/schemas/explain.ts'
import { explainCommand } from './explain.ts'

const found: ExplanationJson = {
  ...{ summary: 'no node fits now (2 known: 2 memory)', replicas: 3, waiting_seconds: 7 },
  ...{ nodes_considered: 2, nodes_fitting: 0, best: [] },
  placed: [
    {
      ...{ slot: 0, machine_id: '00000000-0000-4000-8000-000000000001', score: 4 },
      parts: { spread: 0, image: 5, gpu: -1 },
    },
  ],
  removed: [{ reason: 'memory', nodes: 2 }],
  help: [{ reason: 'memory', nodes: 2, text: 'ask for less memory' }],
}

describe('potluck explain', () => {
  let server: Server
  let asked: { url: string | undefined; key: unknown }[]
  let answer: { status: number; body: unknown }

  beforeEach(async () => {
    asked = []
    answer = { status: 200, body: found }
    server = createServer(({ url, headers }, response) => {
      asked.push({ url, key: headers['salad-api-key'] })
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer.body))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => new Promise((resolve) => server.close(resolve)))

  const run = async (...args: string[]): Promise<string> => {
    let stdout = ''
    const { port } = server.address() as AddressInfo
    const context = {
      env: { POTLUCK_API: `http://127.0.0.1:${port}/api/public`, POTLUCK_API_KEY: 'k' },
      stdout: (text: string) => {
        stdout += text
      },
    }
    const program = new Command().exitOverride()
    program.addCommand(explainCommand(context as never))
    await program.parseAsync(['explain', ...args], { from: 'user' })
    return stdout
  }
  const rejection = (promise: Promise<unknown>): Promise<Error> =>
    promise.then(
      () => expect.fail('should have failed'),
      (error: Error) => error,
    )

  it('asks with the key, and tells people what waits, what removed nodes, and what helps', async () => {
    const text = await run('acme/web/hello')
    const url = '/api/public/organizations/acme/projects/web/containers/hello/explain'
    expect(asked).to.deep.equal([{ url, key: 'k' }])
    expect(text).to.contain('acme/web/hello: 1 of 3 replicas placed; no node fits now')
    expect(text).to.contain('waiting for 7 s')
    expect(text).to.contain('4.0  (image 5.0, gpu -1.0)')
    expect(text).to.contain('memory alone keeps out 2: ask for less memory')
  })

  it('prints the answer as one line of JSON', async () => {
    expect(JSON.parse(await run('acme/web/hello', '--json'))).to.deep.equal(found)
  })

  it('says what is wrong with the words, the key and the answer', async () => {
    expect((await rejection(run('acme/web'))).message).to.contain('organization/project/container')
    const unreadable = await rejection(run('a/b/c', '--key-file', '/nowhere'))
    expect(unreadable.message).to.contain('--key-file /nowhere cannot be read')
    answer = { status: 404, body: { detail: 'no such group' } }
    expect((await rejection(run('a/b/c'))).message).to.contain('answered 404: no such group')
    answer = { status: 200, body: { summary: 1 } }
    expect((await rejection(run('a/b/c'))).message).to.contain('none of this version')
  })
})
