/** What reaches the output, searched as an attacker would: for the secret, not for its path. */
import { expect } from 'chai'
import fc from 'fast-check'
import { PotluckError } from '../errors.ts'
import { createLogger, type Logger, type LogLevel, logLevels, silentLogger } from './index.ts'

function record(
  level: LogLevel = 'trace',
  pretty = false,
): { logger: Logger; output: () => string } {
  let text = ''
  const destination = {
    write(line: string) {
      text += line
    },
  }
  return { logger: createLogger({ level, name: 'test', pretty, destination }), output: () => text }
}

describe('protocol/log', () => {
  it('writes one JSON line with level, name, time, bindings, fields and message', () => {
    const { logger, output } = record()
    logger
      .child({ node: 'n1' })
      .child({ slot: 'g/1' })
      .info({ bytes: 12, big: 5n }, 'took %s a slot')
    const line = JSON.parse(output())
    expect(line).to.include({ level: 'info', name: 'test', node: 'n1', slot: 'g/1', bytes: 12 })
    expect(line).to.include({ big: '5', msg: 'took %s a slot' })
    expect(Date.parse(line.time)).to.be.closeTo(Date.now(), 60_000)
  })

  it('writes lines of its level and above only', () => {
    const { logger, output } = record('warn')
    for (const level of logLevels) logger[level]({}, level)
    expect(output().match(/"msg":"\w+"/g)).to.deep.equal(['"msg":"warn"', '"msg":"error"'])
  })

  it('writes an error as code, chain of messages and fields, wherever it stands', () => {
    const { logger, output } = record()
    const cause = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
    const error = new PotluckError('REGISTRY_DOWN', 'registry r: unreachable', {
      cause,
      fields: { host: 'r', tries: 3 },
    })
    logger.error({ error, nested: { list: [error] } }, 'pull failed')
    const { error: top, nested } = JSON.parse(output())
    expect(top).to.deep.equal({
      type: 'PotluckError',
      code: 'REGISTRY_DOWN',
      message: 'registry r: unreachable: connection refused',
      fields: { host: 'r', tries: 3 },
    })
    expect(nested.list[0]).to.deep.equal(top)
  })

  it('keeps the stack of an error without a code, which is a bug of ours', () => {
    const { logger, output } = record()
    logger.error({ err: new TypeError('x is not a function') }, 'bug')
    expect(JSON.parse(output()).err.stack).to.contain('create-logger.test.ts')
  })

  it('never throws on what cannot be written', () => {
    const { logger, output } = record()
    const loop: Record<string, unknown> = {}
    loop.self = loop
    loop.getter = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('no')
      },
    })
    logger.info({ loop, bytes: new Uint8Array(5), map: new Map([['a', 1]]), fn: () => 1 }, 'odd')
    const line = JSON.parse(output())
    expect(line.loop).to.deep.equal({ self: '[circular]', getter: '[unreadable: no]' })
    expect(line).to.deep.include({ bytes: '[5 bytes]', map: { a: 1 }, fn: '[function]' })
  })

  it('takes names that every object has', () => {
    const { logger, output } = record()
    const fields = JSON.parse('{"__proto__":1,"hasOwnProperty":2,"toString":3}')
    logger.child(fields).info({ fields }, 'odd')
    expect(JSON.parse(output())).to.include({ ___proto__: 1, _hasOwnProperty: 2, _toString: 3 })
  })

  it('does nothing when silent', () => {
    expect(silentLogger.child({ a: 1 })).to.equal(silentLogger)
    for (const level of logLevels) expect(silentLogger[level]({}, 'x')).to.equal(undefined)
  })
})

describe('protocol/log: secrets', () => {
  const canary = 'CANARY-7f3a9c'
  const places: Record<string, unknown> = {
    password: canary,
    registryPassword: canary,
    apiKey: canary,
    api_key: canary,
    'Salad-Api-Key': canary,
    env: { HF_TOKEN: canary, LIST: [canary] },
    environment_variables: { A: canary },
    Authorization: `Basic ${canary}`,
    headers: { authorization: `Bearer ${canary}`, Cookie: canary },
    credentials: { username: 'u', secret: canary },
    registry_authentication: { basic: { username: 'u', password: canary } },
    key: canary,
    secretKey: new TextEncoder().encode(canary),
    token: canary,
    url: `https://user:${canary}@registry.test/v2/`,
    header: `authorization: Bearer ${canary}`,
    map: new Map([['password', canary]]),
    bytes: Buffer.from(canary),
    error: new PotluckError('X', `GET https://u:${canary}@r.test/: 401`, {
      fields: { token: canary },
      cause: new Error(`sent Basic ${canary}`),
    }),
  }

  for (const [name, value] of Object.entries(places)) {
    it(`leaves out ${name}, at the top, nested, in a list and in a child's bindings`, () => {
      for (const pretty of [false, true]) {
        const { logger, output } = record('trace', pretty)
        const field = { [name]: value }
        logger.info(field, 'top')
        logger.info({ a: { b: { c: { d: [{ e: field }] } } } }, 'nested')
        logger.child(field).child({ at: field }).warn({}, 'bound')
        expect(output()).to.contain('bound')
        expect(output()).not.to.contain(canary)
        expect(output()).not.to.contain(Buffer.from(canary).toString('base64'))
      }
    })
  }

  it('leaves out user info and tokens from the message', () => {
    const { logger, output } = record()
    logger.info({}, `GET https://u:${canary}@r.test/ with Bearer ${canary}`)
    expect(output()).to.contain('r.test').and.not.contain(canary)
  })

  it('property: under a secret name nothing of the value is written, at any depth', () => {
    const names = fc.constantFrom('password', 'apiKey', 'env', 'Authorization', 'SECRET', 'x-token')
    const path = fc.array(fc.constantFrom('a', 'body', 'request', '0'), { maxLength: 12 })
    fc.assert(
      fc.property(names, path, fc.json(), (name, above, json) => {
        const { logger, output } = record()
        const leaf: Record<string, unknown> = { [name]: { text: canary, json: JSON.parse(json) } }
        logger.info(
          above.reduce((inner, at) => ({ [at]: inner }), leaf),
          'x',
        )
        expect(output()).not.to.contain(canary)
        expect(() => JSON.parse(output())).not.to.throw()
      }),
    )
  })
})
