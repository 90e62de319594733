/** Container groups: durable before told, unique names, versions, quotas, sealed secrets. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import { createLevelStore, createMemoryStore, type Store } from '../../protocol/store/index.ts'
import { groupInput, openGroups, otherProject, scope } from './groups.fixture.ts'
import { gpuClassOf, imageReferenceProblem, machineIdOf, slotsWanted } from './index.ts'

async function codeOf(run: () => unknown): Promise<string | undefined> {
  try {
    await run()
  } catch (error) {
    return errorCode(error)
  }
  return undefined
}

describe('coordinator/groups', () => {
  let store: Store
  beforeEach(() => {
    store = createMemoryStore()
  })

  it('finds everything again after a restart', async () => {
    const groups = await openGroups(store)
    const made = await groups.create(scope, groupInput({ env: { A: '1' } }))
    const again = await openGroups(store)
    expect(again.get(scope, 'hello')).to.deep.equal(made)
    expect(again.openEnv(made)).to.deep.equal({ A: '1' })
  })

  it('tells listeners only of what is on disk, and survives their faults', async () => {
    const groups = await openGroups(store)
    const seen: number[] = []
    groups.onChange(() => {
      throw new Error('a bug')
    })
    const stop = groups.onChange((id) => seen.push(groups.byId(id)?.replicas ?? -1))
    await groups.create(scope, groupInput())
    await groups.update(scope, 'hello', () => ({ replicas: 5 }))
    stop()
    await groups.update(scope, 'hello', () => ({ replicas: 6 }))
    expect(seen).to.deep.equal([3, 5])
  })

  it('shows nothing of a change that the disk refused', async () => {
    const failing: Store = { ...store, batch: () => Promise.reject(new Error('disk full')) }
    const groups = await openGroups(failing)
    let told = 0
    groups.onChange(() => told++)
    await groups.create(scope, groupInput()).catch(() => {})
    expect([groups.all().length, told]).to.deep.equal([0, 0])
  })

  it('keeps names unique within a project, also among simultaneous requests', async () => {
    const groups = await openGroups(store)
    const codes = await Promise.all(
      Array.from({ length: 5 }, () => codeOf(() => groups.create(scope, groupInput()))),
    )
    expect(codes.filter((code) => code === undefined)).to.have.length(1)
    expect(codes.filter((code) => code === 'GROUP_NAME_TAKEN')).to.have.length(4)
    expect(await codeOf(() => groups.create(otherProject, groupInput()))).to.equal(undefined)
  })

  it('frees the name at deletion, and forgets only tombstones', async () => {
    const groups = await openGroups(store)
    const { id } = await groups.create(scope, groupInput({ env: { A: '1' } }))
    await groups.forgetDeleted(id)
    expect(groups.byId(id)).to.not.equal(undefined)
    const tombstone = await groups.delete(scope, 'hello')
    expect(slotsWanted(tombstone)).to.equal(0)
    expect(tombstone.container).not.to.have.property('envSealed')
    expect(await codeOf(() => groups.get(scope, 'hello'))).to.equal('GROUP_NOT_FOUND')
    expect((await groups.create(scope, groupInput())).id).not.to.equal(id)
    await groups.forgetDeleted(id)
    expect((await openGroups(store)).byId(id)).to.equal(undefined)
  })

  it('raises the version for what restarts containers, and for nothing else', async () => {
    const groups = await openGroups(store)
    await groups.create(scope, groupInput())
    const version = async (change: Parameters<typeof groups.update>[2]) =>
      (await groups.update(scope, 'hello', change)).version
    expect(await version(() => ({ replicas: 4, displayName: 'Other' }))).to.equal(1)
    expect(await version(() => ({ extension: { lostAfterMs: 60_000 } }))).to.equal(1)
    expect(await version(() => ({ credentials: { username: 'u', password: 'p' } }))).to.equal(1)
    expect(await version(() => ({ container: { image: 'b:2' } }))).to.equal(2)
    expect(await version(() => ({ container: { image: 'b:2' } }))).to.equal(2)
    expect(await version(() => ({ env: { A: '2' } }))).to.equal(3)
    expect(await version(() => ({ container: { command: ['x'] } }))).to.equal(4)
    expect(await version(() => ({ newVersion: true, kept: { readiness_probe: {} } }))).to.equal(5)
  })

  it('applies simultaneous changes of one group one after the other', async () => {
    const groups = await openGroups(store, 1_000)
    await groups.create(scope, groupInput({ replicas: 0 }))
    const add = () => groups.update(scope, 'hello', (group) => ({ replicas: group.replicas + 1 }))
    await Promise.all(Array.from({ length: 50 }, add))
    expect(groups.get(scope, 'hello').replicas).to.equal(50)
    expect((await openGroups(store)).get(scope, 'hello').replicas).to.equal(50)
  })

  it('starts and stops idempotently, writing nothing when nothing changes', async () => {
    const groups = await openGroups(store)
    await groups.create(scope, groupInput())
    let told = 0
    groups.onChange(() => told++)
    await groups.start(scope, 'hello')
    expect(told).to.equal(0)
    expect(slotsWanted(await groups.stop(scope, 'hello'))).to.equal(0)
    await groups.stop(scope, 'hello')
    expect(slotsWanted(await groups.start(scope, 'hello'))).to.equal(3)
    expect(told).to.equal(2)
  })

  it('holds the quota over all groups of an organization, also among simultaneous ones', async () => {
    const groups = await openGroups(store, 10)
    const codes = await Promise.all(
      ['aa', 'bb', 'cc', 'dd'].map((name) =>
        codeOf(() => groups.create(scope, groupInput({ name }))),
      ),
    )
    expect(codes).to.deep.equal([undefined, undefined, undefined, 'QUOTA_EXCEEDED'])
    const grow = (name: string) => codeOf(() => groups.update(scope, name, () => ({ replicas: 4 })))
    expect(await Promise.all(['aa', 'bb'].map(grow))).to.deep.equal([undefined, 'QUOTA_EXCEEDED'])
    await groups.delete(scope, 'cc')
    expect(await grow('bb')).to.equal(undefined)
  })

  it('drops credentials once, but not newer ones', async () => {
    const groups = await openGroups(store)
    const credentials = { username: 'u', password: 'first' }
    const old = await groups.create(scope, groupInput({ credentials }))
    expect(groups.openCredentials(old)).to.deep.equal(credentials)
    const newer = { username: 'u', password: 'second' }
    await groups.update(scope, 'hello', () => ({ credentials: newer }))
    await groups.dropCredentials(old)
    const current = groups.get(scope, 'hello')
    expect(groups.openCredentials(current)).to.deep.equal(newer)
    await groups.dropCredentials(current)
    const dropped = groups.get(scope, 'hello')
    expect(groups.openCredentials(dropped)).to.equal(undefined)
    expect(dropped.container.credentialsGiven).to.equal(true)
  })

  it('opens no secret in another group', async () => {
    const groups = await openGroups(store)
    const a = await groups.create(scope, groupInput({ name: 'aa', env: { A: 'secret' } }))
    const b = await groups.create(scope, groupInput({ name: 'bb' }))
    const forged = { ...b, container: { ...b.container, envSealed: a.container.envSealed! } }
    expect(await codeOf(() => groups.openEnv(forged))).to.equal('SECRET_UNREADABLE')
  })

  it('leaves no secret in any file of the database', async () => {
    const path = await mkdtemp(join(tmpdir(), 'potluck-groups-'))
    try {
      const level = await createLevelStore({ path })
      const groups = await openGroups(level)
      const secrets = ['canary-env-7f1c', 'canary-password-7f1c', 'canary-logging-7f1c']
      const [env = '', password = '', logging] = secrets
      await groups.create(
        scope,
        groupInput({ env: { A: env }, credentials: { username: 'u', password }, logging }),
      )
      await groups.update(scope, 'hello', () => ({ env: { A: env, B: env } }))
      await level.close()
      const names = await readdir(path, { recursive: true })
      const all = Buffer.concat(await Promise.all(names.map((name) => readFile(join(path, name)))))
      // LevelDB may compress: what is not secret is found, so this search sees the records.
      expect(all.includes('registry.example/acme/hello:1')).to.equal(true)
      for (const secret of secrets) expect(all.includes(secret), secret).to.equal(false)
    } finally {
      await rm(path, { recursive: true })
    }
  })
})

describe('coordinator/groups: image references', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  for (const good of [
    'redis',
    'redis:7',
    'library/redis',
    'ghcr.io/acme/app:v1.2_x',
    'localhost:5000/app',
    '127.0.0.1:5000/a/b/c:latest',
    '[::1]:5000/app',
    `registry.example/app@${digest}`,
    `registry.example:443/app:1@${digest}`,
    'a--b/c__d.e',
  ]) {
    it(`accepts ${good.slice(0, 40)}`, () =>
      expect(imageReferenceProblem(good)).to.equal(undefined))
  }
  for (const bad of [
    '',
    ' ',
    'acme/:latest',
    'Redis',
    'ghcr.io/Acme/app',
    'https://ghcr.io/acme/app',
    'app:',
    'app:-x',
    'app@sha256:abc',
    `app@md5:${'a'.repeat(64)}`,
    `app@${digest}@${digest}`,
    'a b',
    'a/../b',
    '/app',
    'app/',
    'reg.example:99999/app',
    'reg_istry.example/app',
    'a'.repeat(256),
    'app\n',
  ]) {
    it(`refuses ${JSON.stringify(bad.slice(0, 40))}`, () =>
      expect(imageReferenceProblem(bad)).to.be.a('string'))
  }
})

describe('coordinator/groups: GPU classes, machine ids', () => {
  const gib = 2 ** 30
  for (const [product, vramGib, name] of [
    ['NVIDIA GeForce RTX 4090', 23.99, 'RTX 4090 (24 GB)'],
    ['NVIDIA GeForce RTX 5090 Laptop GPU', 23.9, 'RTX 5090 Laptop (24 GB)'],
    ['NVIDIA GeForce RTX 4070 Ti SUPER', 15.99, 'RTX 4070 Ti SUPER (16 GB)'],
    ['NVIDIA H100 80GB HBM3', 79.6, 'H100 (80 GB)'],
    ['NVIDIA H200', 140.4, 'H200 (141 GB)'],
    ['NVIDIA A100-SXM4-80GB', 79.2, 'A100 (80 GB)'],
    ['NVIDIA A100-PCIE-40GB', 39.4, 'A100 (40 GB)'],
    ['Tesla T4', 15, 'Tesla T4 (16 GB)'],
    ['NVIDIA GeForce RTX 4090 Laptop GPU', 16, undefined],
    ['NVIDIA GeForce RTX 4060 Ti', 8, undefined],
    ['Some Other Card', 24, undefined],
  ] as const) {
    it(`${product} with ${vramGib} GiB is ${name ?? 'of no class'}`, () =>
      expect(gpuClassOf(product, vramGib * gib)?.name).to.equal(name))
  }

  it('machine ids are version 5 UUIDs that depend on the peer alone', () => {
    const a = machineIdOf('12D3KooWA' as PeerId)
    expect(a).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(machineIdOf('12D3KooWA' as PeerId)).to.equal(a)
    expect(machineIdOf('12D3KooWB' as PeerId)).not.to.equal(a)
  })
})
