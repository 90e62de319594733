import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { Command } from 'commander'
import fc from 'fast-check'
import Type from 'typebox'
import {
  addConfigOptions,
  byteSize,
  ConfigError,
  configFlags,
  duration,
  loadConfig,
  multiaddr,
  path,
  port,
  secret,
} from './index.ts'

const schema = Type.Object({
  dataDir: path({ description: 'Where state lies', default: '~/.potluck' }),
  region: Type.String({ description: 'Where it stands', pattern: '^[a-z-]+$' }),
  storeBytes: byteSize({ description: 'Disk to lend', default: '50GB', min: '1GB' }),
  engine: Type.Union([Type.Literal('docker'), Type.Literal('simulated')], {
    description: 'What runs containers',
    default: 'docker',
  }),
  verbose: Type.Boolean({ description: 'More words', default: false }),
  nickname: Type.Optional(Type.String({ description: 'A name for people' })),
  api: Type.Object({
    port: port({ description: 'Where the API listens', default: 8080 }),
    leaseMs: duration({ description: 'How long', default: '15s', min: '1s', max: '1h' }),
    key: Type.Optional(secret({ description: 'Opens the API', minLength: 8 })),
  }),
  mesh: Type.Object({
    listen: Type.Array(multiaddr({ description: 'x' }), {
      description: 'Addresses',
      default: ['/ip4/0.0.0.0/tcp/0'],
      maxItems: 3,
    }),
  }),
  tls: Type.Optional(
    Type.Object({
      cert: path({ description: 'Certificate' }),
      minVersion: Type.String({ description: 'Oldest version', default: '1.3' }),
    }),
  ),
})

type Sources = Readonly<{ env?: object; flags?: object; toml?: string; file?: string }>

describe('protocol/config', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'potluck-config-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  const load = ({ env = {}, flags = {}, toml, file }: Sources) => {
    const path = file ?? join(folder, 'node.toml')
    if (toml !== undefined) writeFileSync(path, toml)
    return loadConfig({
      schema,
      name: 'node',
      ...(toml === undefined && file === undefined ? {} : { file: path }),
      env: { HOME: '/home/u', ...env },
      flags: flags as Record<string, unknown>,
    })
  }
  const refusal = (sources: Sources): ConfigError => {
    try {
      load(sources)
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError)
      return error as ConfigError
    }
    return expect.fail('should have been refused')
  }

  it('fills in defaults, in the units of the code', () => {
    expect(load({ flags: { region: 'eu' } })).to.deep.equal({
      dataDir: '/home/u/.potluck',
      region: 'eu',
      storeBytes: 50e9,
      engine: 'docker',
      verbose: false,
      api: { port: 8080, leaseMs: 15_000 },
      mesh: { listen: ['/ip4/0.0.0.0/tcp/0'] },
    })
  })

  it('lets the environment outrank the file and a flag the environment', () => {
    const toml = 'region = "file"\nstore = "2GB"\n[api]\nport = 1\nlease = "2s"\n'
    const env = { POTLUCK_NODE_REGION: 'env', POTLUCK_NODE_API_PORT: '2', POTLUCK_NODE_STORE: '' }
    const config = load({ toml, env, flags: { region: 'flag' } })
    expect(config.region).to.equal('flag')
    expect(config.storeBytes, 'an empty variable counts as unset').to.equal(2e9)
    expect(config.api).to.deep.equal({ port: 2, leaseMs: 2000 })
  })

  it('reads lists from a file, from commas in the environment, from repeated flags', () => {
    const [a, b] = ['/ip4/1.2.3.4/tcp/1', '/dns4/x.test/tcp/2']
    const flags = { region: 'eu' }
    const toml = `[mesh]\nlisten = ["${a}", "${b}"]`
    expect(load({ flags, toml }).mesh.listen).to.deep.equal([a, b])
    const env = { POTLUCK_NODE_MESH_LISTEN: `${a}, ${b}` }
    expect(load({ flags, env }).mesh.listen).to.deep.equal([a, b])
    expect(load({ flags: { ...flags, 'mesh-listen': [a] } }).mesh.listen).to.deep.equal([a])
  })

  it("resolves paths against the file's folder or the working directory", () => {
    const flags = { region: 'eu' }
    expect(load({ flags, toml: 'data_dir = "d"' }).dataDir).to.equal(join(folder, 'd'))
    expect(load({ flags: { ...flags, 'data-dir': 'd' } }).dataDir).to.equal(resolve('d'))
  })

  it('leaves an optional section out until something of it is set, then requires the rest', () => {
    const flags = { region: 'eu' }
    expect(load({ flags })).not.to.have.property('tls')
    expect(load({ flags, toml: '[tls]\ncert = "/c"' }).tls).to.deep.equal({
      cert: '/c',
      minVersion: '1.3',
    })
    expect(refusal({ flags, toml: '[tls]\nmin_version = "1.2"' }).message).to.contain('--tls-cert')
  })

  it('has a section of which nothing is set', () => {
    const limit = Type.Optional(Type.Integer({ description: 'Limit' }))
    const schema = Type.Object({ rates: Type.Object({ limit }) })
    const config = loadConfig({ schema, name: 'node', env: {}, flags: {} })
    expect(config).to.deep.equal({ rates: {} })
  })

  it('tells all problems at once, each with key, value, source and remedy', () => {
    const { message, problems, code } = refusal({
      toml: 'stor = "1GB"\nengine = "podman"\n[api]\nlease = 15\n[mesh]\nlisten = ["/ip4/1.2.3.4/tcp/1", "nowhere"]',
      env: { POTLUCK_NODE_API_PRT: '1', POTLUCK_NODE_VERBOSE: 'perhaps' },
      flags: { 'api-port': '70000', store: '5MB' },
    })
    const file = `file ${join(folder, 'node.toml')}`
    expect(code).to.equal('CONFIG_INVALID')
    const lines = [
      `stor (${file}): there is no such setting; did you mean store?`,
      `engine (${file}): "podman" is not valid; it must be one of docker, simulated`,
      `api.lease (${file}): 15 is not valid; it must be a duration such as 500ms, 15s or 1h30m, at least 1s, at most 1h`,
      `mesh.listen (${file}): item 2: "nowhere" is not valid; it must be a multiaddr`,
      'POTLUCK_NODE_API_PRT (env POTLUCK_NODE_API_PRT): there is no such setting; did you mean POTLUCK_NODE_API_PORT?',
      'verbose (env POTLUCK_NODE_VERBOSE): "perhaps" is not valid; it must be true or false',
      'api.port (flag --api-port): "70000" is not valid; it must be a port from 0 to 65535',
      'store (flag --store): "5MB" is not valid; it must be a size such as 64KiB or 50GB, at least 1GB',
      'region: it is required; set --region, POTLUCK_NODE_REGION, or region in the config file, to a text that matches ^[a-z-]+$',
    ]
    for (const line of lines) expect(message).to.contain(line)
    expect(problems).to.have.length(lines.length)
  })

  it('never shows a secret, whatever is wrong with it or around it', () => {
    const canary = 'CANARY'
    const texts = [
      refusal({ env: { POTLUCK_NODE_API_KEY: canary } }),
      refusal({ flags: { 'api-key': canary } }),
      refusal({ toml: `[api]\nkey = ["${canary}"]` }),
      refusal({ toml: `[api]\nkey = "${canary}` }),
      refusal({ toml: `[api]\nkey = ${canary}` }),
    ]
    for (const error of texts) {
      expect(error.message).not.to.contain(canary)
      expect(JSON.stringify(error)).not.to.contain(canary)
    }
  })

  it('names a file that is missing or no TOML, with line and column', () => {
    expect(refusal({ file: join(folder, 'none.toml') }).message).to.contain('ENOENT')
    expect(refusal({ toml: 'region = "eu"\nx y z' }).message).to.match(/line 2, column \d+/)
    expect(refusal({ toml: 'api = 5' }).message).to.contain('write [api]')
    expect(refusal({ toml: 'region = "a"\n[region.x]' }).problems).to.have.length.above(0)
  })

  it('runs the check of how settings relate once each alone is valid', () => {
    const check = () => [{ key: 'api.lease', message: 'too long for this store' }]
    const init = { schema, name: 'node', env: {}, check }
    expect(() => loadConfig({ ...init, flags: { region: 'eu' } })).to.throw('too long for this')
    expect(() => loadConfig({ ...init, flags: {} })).not.to.throw('too long for this')
  })

  it('refuses a schema whose settings are not described, or share a name', () => {
    const init = { name: 'node', env: {}, flags: {} }
    const bare = Type.Object({ a: Type.String() })
    expect(() => loadConfig({ ...init, schema: bare })).to.throw('no description')
    const text = Type.String({ description: 'x' })
    const twice = Type.Object({ apiPort: text, api: Type.Object({ port: text }) })
    expect(() => loadConfig({ ...init, schema: twice })).to.throw('named')
  })

  it('property: junk from every source gives a configuration or a ConfigError, nothing else', () => {
    const names = [
      'REGION',
      'STORE',
      'API_PORT',
      'API_LEASE',
      'MESH_LISTEN',
      'API',
      'X',
      '__PROTO__',
    ]
    const env = fc.dictionary(
      fc.constantFrom(...names.map((n) => `POTLUCK_NODE_${n}`)),
      fc.string(),
    )
    const flagNames = ['region', 'store', 'api-port', 'mesh-listen', '__proto__', 'constructor']
    const flags = fc.dictionary(fc.constantFrom(...flagNames), fc.anything())
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('[api]', '[mesh]', '[[api]]', '__proto__ = 1', 'constructor.x = 1'),
      fc
        .tuple(fc.constantFrom('region', 'store', 'port', 'listen', 'api.port'), fc.json())
        .map(([key, value]) => `${key} = ${value}`),
    )
    const toml = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'))
    let refused = 0
    fc.assert(
      fc.property(env, flags, toml, (env, flags, toml) => {
        try {
          load({ env, flags, toml })
        } catch (error) {
          refused++
          expect(error).to.be.instanceOf(ConfigError)
        }
      }),
      { numRuns: 500 },
    )
    expect(refused).to.be.greaterThan(100)
  })
})

describe('protocol/config: options', () => {
  const names = { name: 'node' }
  const parse = (...args: string[]) => {
    const command = addConfigOptions(new Command().exitOverride(), schema, names)
    command.parse(args, { from: 'user' })
    return configFlags(command, schema, names)
  }

  it('hands on what was given, and nothing that was not', () => {
    expect(parse()).to.deep.equal({})
    expect(parse('--region', 'eu', '--api-port', '80', '--verbose')).to.deep.equal({
      region: 'eu',
      'api-port': '80',
      verbose: true,
    })
    expect(parse('--no-verbose')).to.deep.equal({ verbose: false })
    expect(parse('--mesh-listen', 'a', '--mesh-listen', 'b')).to.deep.equal({
      'mesh-listen': ['a', 'b'],
    })
  })

  it('writes the help from the schema', () => {
    const help = addConfigOptions(new Command(), schema, names)
      .configureHelp({ helpWidth: 500 })
      .helpInformation()
    expect(help).to.match(/--store <size> +Disk to lend \(default: 50GB; env: POTLUCK_NODE_STORE\)/)
    expect(help).to.match(/--region <region> +Where it stands \(required; env: /)
    expect(help).to.contain('one of: docker, simulated')
  })
})
