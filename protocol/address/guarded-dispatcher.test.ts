/** The dispatcher against real sockets on loopback: names that lie, redirects, literals, pools. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { type Dispatcher, request } from 'undici'
import { errorCode } from '../errors.ts'
import { createGuardedDispatcher, type Resolve } from './guarded-dispatcher.ts'

describe('guarded dispatcher', () => {
  let server: Server
  let port: number
  let hits: number
  const dispatchers: Dispatcher[] = []
  const guarded = (allow: readonly string[], resolve?: Resolve): Dispatcher => {
    const dispatcher = createGuardedDispatcher({ allow }, resolve ? { resolve } : {})
    dispatchers.push(dispatcher)
    return dispatcher
  }

  beforeEach(async () => {
    hits = 0
    server = createServer((_, response) => {
      hits += 1
      response.end('inside')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterEach(async () => {
    await Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.destroy()))
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  async function codeOf(url: string, dispatcher: Dispatcher): Promise<string | undefined> {
    try {
      const { body } = await request(url, { dispatcher })
      return await body.text()
    } catch (error) {
      return errorCode(error)
    }
  }

  it('refuses literals in every spelling the URL parser knows', async () => {
    const dispatcher = guarded([])
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '127.1', '[::1]', '[::ffff:7f00:1]']) {
      expect(await codeOf(`http://${host}:${port}/`, dispatcher), host).to.equal('ADDRESS_REFUSED')
    }
    expect(hits).to.equal(0)
  })

  it('refuses names that lead inside, also when only one answer of several does', async () => {
    for (const answers of [['127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['::1'], ['169.254.169.254']]) {
      const dispatcher = guarded([], async () => answers)
      const outcome = await codeOf(`http://registry.example:${port}/`, dispatcher)
      expect(outcome, answers.join()).to.equal('ADDRESS_REFUSED')
    }
    expect(await codeOf(`http://localhost:${port}/`, guarded([]))).to.equal('ADDRESS_REFUSED')
    expect(hits).to.equal(0)
  })

  it('asks once a connection and connects to the answer it checked', async () => {
    let asked = 0
    const resolve: Resolve = async () => {
      asked += 1
      return asked === 1 ? ['127.0.0.1'] : ['127.0.0.2']
    }
    const init = { allow: ['127.0.0.1/32'], connectionsMax: 1 }
    const dispatcher = createGuardedDispatcher(init, { resolve })
    dispatchers.push(dispatcher)
    const url = `http://rebinding.example:${port}/`
    expect(await codeOf(url, dispatcher)).to.equal('inside')
    expect(await codeOf(url, dispatcher), 'the pinned connection is used again').to.equal('inside')
    expect(asked, 'resolved once for check and connect').to.equal(1)
  })

  it('refuses a name that turns inward later', async () => {
    let answer = '127.0.0.1'
    const dispatcher = guarded(['127.0.0.1/32'], async () => [answer])
    const url = `http://rebinding.example:${port}/`
    expect(await codeOf(url, dispatcher)).to.equal('inside')
    server.closeAllConnections()
    answer = '127.0.0.2'
    await once(dispatcher, 'disconnect')
    expect(await codeOf(url, dispatcher)).to.equal('ADDRESS_REFUSED')
  })

  it('lets the operator allow a range, by name and by literal', async () => {
    const dispatcher = guarded(['127.0.0.0/8'], async () => ['127.0.0.1'])
    expect(await codeOf(`http://registry.example:${port}/`, dispatcher)).to.equal('inside')
    expect(await codeOf(`http://127.0.0.1:${port}/`, dispatcher)).to.equal('inside')
  })

  it('says that a name does not resolve', async () => {
    const missing: Resolve = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
    }
    expect(await codeOf('http://nowhere.example/', guarded([], missing))).to.equal(
      'ADDRESS_UNRESOLVED',
    )
    expect(
      await codeOf(
        'http://empty.example/',
        guarded([], async () => []),
      ),
    ).to.equal('ADDRESS_UNRESOLVED')
  })
})
