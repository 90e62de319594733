import { spawnSync } from 'node:child_process'
import { expect } from 'chai'

/** In a process of its own: others in this one may have loaded it whole. */
const script = `
const { DockerClient } = await import(process.argv[1])
const paths = Object.keys(process.getBuiltinModule('module')._cache)
const count = (name) => paths.filter((path) => path.includes('/node_modules/' + name + '/')).length
console.log(JSON.stringify({
  call: typeof new DockerClient({ socketPath: '/nowhere' }).getContainer,
  modem: count('docker-modem') > 0,
  unused: ['@grpc/grpc-js', 'protobufjs', 'ssh2'].map(count),
}))`

describe('engine/dockerode', () => {
  it('is dockerode, without gRPC, protobufjs and ssh2', () => {
    const file = new URL('./dockerode.ts', import.meta.url).pathname
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script, file],
      { encoding: 'utf8' },
    )
    expect(stderr).to.equal('')
    expect(JSON.parse(stdout)).to.deep.equal({
      ...{ call: 'function', modem: true, unused: [0, 0, 0] },
    })
  })
})
