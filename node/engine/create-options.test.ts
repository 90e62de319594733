/** The request as Docker gets it, field by field: each missing one is a way out of the container. */
import { expect } from 'chai'
import fc from 'fast-check'
import { type CreateRequest, createOptions } from './create-options.ts'
import { testSpec } from './engine.conformance.ts'
import type { ContainerSpec } from './engine.ts'
import { parseContainerLabels } from './labels.ts'

const digest = `sha256:${'ab'.repeat(32)}` as ContainerSpec['image']
const endpoint = {
  image: digest,
  source: { reference: `127.0.0.1:4000/bundle@${digest}`, username: 'u', password: 'p' },
}
const info = { storageQuota: 'watched', nofileMax: 1_048_576 } as const
const place = { network: 'potluck-net', dns: ['1.1.1.1'] }

function request(change: Partial<ContainerSpec> = {}): CreateRequest {
  return createOptions(testSpec(endpoint, change), info, place)
}

describe('node/engine: the request for a container', () => {
  it('confines exactly so', () => {
    expect(request().HostConfig).to.deep.equal({
      Privileged: false,
      CapDrop: ['ALL'],
      CapAdd: [
        'CHOWN',
        'DAC_OVERRIDE',
        'FOWNER',
        'FSETID',
        'SETGID',
        'SETUID',
        'KILL',
        'NET_BIND_SERVICE',
      ],
      SecurityOpt: ['no-new-privileges:true'],
      CgroupnsMode: 'private',
      IpcMode: 'private',
      PidMode: '',
      UTSMode: '',
      UsernsMode: '',
      NetworkMode: 'potluck-net',
      PortBindings: {},
      PublishAllPorts: false,
      Dns: ['1.1.1.1'],
      DnsSearch: ['.'],
      ExtraHosts: [],
      Memory: 64 << 20,
      MemorySwap: 64 << 20,
      MemorySwappiness: 0,
      OomKillDisable: false,
      OomScoreAdj: 500,
      NanoCpus: 500_000_000,
      CpuShares: 128,
      PidsLimit: 512,
      Ulimits: [
        { Name: 'nofile', Soft: 1024, Hard: 4096 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      ShmSize: 1 << 20,
      Tmpfs: { '/tmp': `rw,nosuid,nodev,size=${32 << 20}` },
      Binds: [],
      Mounts: [],
      VolumesFrom: [],
      Devices: [],
      DeviceCgroupRules: [],
      DeviceRequests: [],
      Init: true,
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    })
  })

  it('asks for exactly the allocated GPUs, by UUID', () => {
    const { limits } = testSpec(endpoint)
    const { HostConfig, Env } = request({ limits: { ...limits, gpuUuids: ['GPU-a', 'GPU-b'] } })
    expect(HostConfig.DeviceRequests).to.deep.equal([
      {
        Driver: 'nvidia',
        DeviceIDs: ['GPU-a', 'GPU-b'],
        Capabilities: [['gpu', 'compute', 'utility']],
      },
    ])
    expect(Env).to.include.members(['NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b', 'LD_PRELOAD'])
  })

  it('clamps open files to what the engine can give', () => {
    const { HostConfig } = createOptions(testSpec(endpoint), { ...info, nofileMax: 512 }, place)
    expect(HostConfig.Ulimits?.[0]).to.deep.equal({ Name: 'nofile', Soft: 512, Hard: 512 })
  })

  it('asks for a quota only where the engine has one', () => {
    expect(request().HostConfig).not.to.have.property('StorageOpt')
    const exact = createOptions(testSpec(endpoint), { ...info, storageQuota: 'exact' }, place)
    expect(exact.HostConfig.StorageOpt).to.deep.equal({ size: String(64 << 20) })
  })

  it('keeps the image’s command when none is given', () => {
    expect(request()).not.to.have.property('Cmd')
    expect(request({ command: ['/bin/a', 'b'] }).Cmd).to.deep.equal(['/bin/a', 'b'])
  })

  it('labels say who it is, and no more', () => {
    const spec = testSpec(endpoint, {
      env: { TOKEN: 'CANARY' },
      identity: { SALAD_MACHINE_ID: 'm' },
    })
    const { Labels, name } = createOptions(spec, info, place)
    const { slot, term, epoch, instance, image } = spec
    expect(parseContainerLabels(Labels)).to.deep.equal({ slot, term, epoch, instance, image })
    expect(Labels).to.include({ 'potluck.node': spec.node })
    expect(name).to.equal(`potluck-${instance}`)
    expect(JSON.stringify(Labels)).not.to.contain('CANARY')
  })

  it('property: whatever the tenant’s env, no variable of the loader’s or toolkit’s gets through', () => {
    const name = fc.oneof(
      fc.constantFrom('LD_PRELOAD', 'ld_preload', 'LD_AUDIT', 'NVIDIA_VISIBLE_DEVICES', 'CUDA_X'),
      fc.stringMatching(/^[A-Z_]{1,12}$/),
    )
    fc.assert(
      fc.property(fc.dictionary(name, fc.string()), (env) => {
        const { Env = [] } = request({ env })
        const ours = Env.filter((entry) => /^(LD_PRELOAD|LD_AUDIT|NVIDIA_|CUDA_)/i.test(entry))
        expect(ours).to.deep.equal(['NVIDIA_VISIBLE_DEVICES=void'])
        for (const [key, value] of Object.entries(env)) {
          if (/^(LD_|NVIDIA_|CUDA_)/i.test(key)) continue
          expect(Env).to.include(`${key}=${value}`)
        }
      }),
    )
  })
})
