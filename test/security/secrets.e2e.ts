/**
 * Canaries in everything that is secret, through a whole deployment on real engines from a private
 * registry; then a search of every file, environment, command line, log and answer: before the image
 * is there, while it runs, while each process is dead by `kill -9`, and after the stop.
 *
 * Not searched: memory, and what the file system may still hold of deleted files.
 */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { isTmpfs } from '../../protocol/mounts/index.ts'
import {
  buildImage,
  type Image,
  pushImage,
  randomLayer,
  smallImage,
} from '../../scripts/image/index.ts'
import { processesOf } from '../../scripts/street/leftovers.ts'
import { createProcesses, type Processes } from '../../scripts/street/processes.ts'
import { type Registry, startRegistry } from '../../scripts/street/registry.ts'
import { until } from './api.ts'
import { createCanaries, type Sighting } from './canaries.ts'
import { readCoordinatorStore } from './coordinator-store.ts'
import { describeWithEngines } from './needs.ts'
import { startTarget, type Target } from './target.ts'

const group = 'secrets'
const replicas = 2

type Phase = 'before' | 'running' | 'stopped'

describeWithEngines('secrets of a deployment', ['unshare'], function () {
  this.timeout(240_000)
  const canaries = createCanaries()
  const startedMs = Date.now()
  const env = canaries.make('env')
  const logging = canaries.make('logging')
  const credentials = { username: canaries.make('username'), password: canaries.make('password') }
  const repository = canaries.make('repository')
  const layer = canaries.make('layer')
  let target: Target
  let processes: Processes
  let registry: Registry

  before(async () => {
    target = await startTarget({ engine: 'docker', nodes: 2, reconnectWindow: '5s' })
    const { run } = target
    processes = createProcesses({ run })
    registry = await startRegistry({ name: 'private', credentials }, { processes, run })
    const image = await secretImage(layer)
    await pushImage(image, { registry: registry.url, repository, credentials })
    for (const { digest } of [image, image.config, ...image.layers]) {
      canaries.add('digest', digest.slice('sha256:'.length))
      canaries.add('digest', Buffer.from(digest.slice('sha256:'.length), 'hex'))
    }
    canaries.add('api-key', target.facts.apiKey)
  })
  after(async () => {
    await processes?.stopAll({ graceMs: 2_000 })
    await target?.stop()
  })

  /** Where canaries are, and may not be. */
  const leaks = async (phase: Phase, everywhere = false): Promise<readonly string[]> => {
    const { run } = target
    const leftOut = [`${run.path}/private`, `${run.path}/private.log`] // the registry's own
    const seen = [
      ...(await canaries.inFiles({ folders: [run.path], leftOut })),
      // What a tmpfs hides may lie on the disk below it.
      ...(await canaries.inFiles({ folders: [run.path], leftOut, onDisk: true })),
      ...(everywhere
        ? await canaries.inFiles({ ...(await elsewhere(run.path)), sinceMs: startedMs })
        : []),
      ...(await inProcesses()),
    ]
    const found = new Set<string>()
    for (const sighting of seen) {
      if (!(await mayBe(sighting, phase))) found.add(`${sighting.canary} in ${sighting.path}`)
    }
    return [...found]
  }

  const mayBe = async ({ canary, path }: Sighting, phase: Phase): Promise<boolean> => {
    const below = path.replace(`${target.run.path}/`, '')
    const isEngines = /^node-\d\/(docker|run\/engine)\//.test(below)
    switch (canary) {
      case 'env':
        if (phase === 'stopped') return isEnginesMemory(below)
        return isEngines && phase === 'running' && (await isInMemory(path))
      case 'layer':
        return phase === 'running' && /^node-\d\/docker\/overlay2\//.test(below)
      case 'digest':
        if (/^coordinator\/store\//.test(below)) return true // its own record of the image
        if (below.startsWith('coordinator.')) return true // its log names what is cached
        if (phase === 'running') return isEngines
        return phase === 'stopped' && isInMemory(path)
      case 'repository':
        return /^coordinator(\/store\/|\.\d+\.log$)/.test(below)
      case 'api-key':
        return below === 'coordinator/api-keys/default' && ((await stat(path)).mode & 0o077) === 0
      default:
        return false
    }
  }

  /** Environments and command lines, but those of containers. */
  const inProcesses = async (): Promise<readonly Sighting[]> => {
    const own = new Set((await containers()).map(({ pid }) => pid))
    const all = (await processesOf(target.run)).filter(({ pid }) => !own.has(pid))
    const read = (pid: number, name: string) => readFile(`/proc/${pid}/${name}`).catch(() => '')
    const seen = await Promise.all(
      all.flatMap(({ pid }) => {
        return ['environ', 'cmdline'].map(async (name) => {
          return canaries.inText(`/proc/${pid}/${name}`, await read(pid, name))
        })
      }),
    )
    return seen.flat()
  }

  const containers = async () => {
    const found = target.nodes.map(async (node) => {
      const docker = target.engineOf(node)
      const list = await docker.listContainers({ all: true })
      return await Promise.all(
        list.map(async ({ Id, Names, Labels }) => {
          const { State } = await docker.getContainer(Id).inspect()
          return { id: Id, pid: State.Pid, told: JSON.stringify({ Names, Labels }) }
        }),
      )
    })
    return (await Promise.all(found)).flat()
  }

  it('lie nowhere while credentials wait for a cache', async () => {
    target.cache.signal('SIGSTOP')
    await target.api.create({
      name: group,
      replicas,
      container: {
        image: `${registry.address}/${repository}:latest`,
        resources: { cpu: 1, memory: 1_024 },
        registry_authentication: { basic: credentials },
        environment_variables: { SECRET: env },
        logging: { axiom: { api_token: logging, dataset: 'd', host: 'logs.example' } },
      },
    })
    expect(await leaks('before')).to.deep.equal([])
    await target.coordinator.kill()
    expect(await leaks('before')).to.deep.equal([])
    target.coordinator.start()
    target.cache.signal('SIGCONT')
    await target.coordinator.ready(AbortSignal.timeout(60_000))
    await target.api.running(group, replicas)
  })

  it('lie, while it runs, in its engine and nowhere else', async () => {
    expect(await leaks('running', true)).to.deep.equal([])
  })

  it('are seen where they may be: the search can find', async () => {
    const own = await containers()
    expect(own).to.have.length(replicas)
    for (const { pid } of own) {
      const environment = await readFile(`/proc/${pid}/environ`)
      expect(canaries.inText('', environment).map(({ canary }) => canary)).to.include('env')
    }
    const folders = target.nodes.map((node) => `${target.folderOf(node)}/docker`)
    const seen = await canaries.inFiles({ folders })
    expect([...new Set(seen.map(({ canary }) => canary))]).to.have.members([
      'env',
      'layer',
      'digest',
    ])
    const planted = join(target.folderOf(target.cache), 'planted')
    const basic = Buffer.from(`${credentials.username}:${credentials.password}`)
    await writeFile(planted, `authorization: Basic ${basic.toString('base64')}`)
    expect(await leaks('running')).to.deep.equal([
      `username in ${planted}`,
      `password in ${planted}`,
    ])
    await rm(planted)
  })

  it('lie in no label, name or event of an engine', async () => {
    const secret = ['env', 'logging', 'username', 'password', 'repository', 'layer', 'api-key']
    for (const { told } of await containers()) {
      const seen = canaries.inText('labels', told)
      expect(seen.filter(({ canary }) => secret.includes(canary))).to.deep.equal([])
    }
    for (const node of target.nodes) {
      const docker = target.engineOf(node)
      const window = { since: Math.floor(startedMs / 1_000), until: Math.ceil(Date.now() / 1_000) }
      const events = await text(await docker.getEvents(window))
      expect(events).to.contain('"start"')
      const images = JSON.stringify([await docker.listImages(), await docker.info()])
      const seen = canaries.inText('engine', events + images)
      expect(seen.filter(({ canary }) => secret.includes(canary))).to.deep.equal([])
    }
  })

  it('lie in no answer of the API that does not owe them', async () => {
    const { ask } = target.api
    const secret = `${env} ${credentials.password}\n`
    const bad = {
      ...{ name: 'bad', replicas: -1, nonsense: secret },
      container: {
        image: '//',
        resources: { cpu: 0, memory: 1 },
        registry_authentication: { basic: { username: env, password: { is: secret } } },
        environment_variables: { SECRET: secret, OTHER: [secret] },
        logging: { axiom: { api_token: [logging] } },
      },
    }
    const answers = [
      await ask('POST', '', bad),
      await ask('POST', '', `{"name": "bad", "container": {"${env}": ${credentials.password}`),
      await ask('POST', '', {
        name: group,
        replicas: 1,
        container: { image: 'a/b', resources: {} },
      }),
      await ask('PATCH', `/${group}`, { container: { registry_authentication: { basic: [env] } } }),
      await ask('GET', `/${group}`, undefined, `${target.facts.apiKey}x`),
      await ask('GET', `/${group}`, undefined, credentials.password),
    ]
    for (const { status, text: body } of answers) {
      expect(status).to.be.within(400, 499)
      const seen = canaries.inText('', body).map(({ canary }) => canary)
      expect(seen, body).to.deep.equal([])
    }
    for (const path of [`/${group}`, '', `/${group}/instances`]) {
      const seen = canaries.inText('', (await ask('GET', path)).text).map(({ canary }) => canary)
      expect(seen).to.not.include.members(['password'])
      expect(seen).to.not.include.members(['api-key'])
    }
  })

  it('lie nowhere else while any of the processes is dead', async () => {
    const { coordinator, all } = target
    await coordinator.kill()
    const { blobKeys, fields } = await readCoordinatorStore(target.folderOf(coordinator))
    expect(blobKeys.length).to.be.greaterThan(2)
    for (const key of blobKeys) canaries.add('blob-key', key)
    expect(fields).to.include('envSealed')
    expect(fields, 'credentials go when the bundle is complete').to.not.include('credentialsSealed')
    for (const member of all) {
      if (member.isUp) await member.kill()
      expect(await leaks('running'), `${member.name} is dead`).to.deep.equal([])
      member.start()
      await member.ready(AbortSignal.timeout(60_000))
    }
    await target.api.running(group, replicas)
  })

  it('lie nowhere after the stop', async () => {
    await target.api.remove(group)
    await until('engines are empty', async () => (await containers()).length === 0)
    await until('images are gone', async () => {
      const images = target.nodes.map((node) => target.engineOf(node).listImages())
      return (await Promise.all(images)).flat().length === 0
    })
    expect(await leaks('stopped', true)).to.deep.equal([])
    // With the engine goes its memory.
    const [node] = target.nodes
    await node?.stop(30_000)
    const left = await canaries.inFiles({ folders: [`${target.run.path}/${node?.name}`] })
    expect(left).to.deep.equal([])
  })
})

/**
 * Files of the engine's that live as long as it does, on its tmpfs: containerd's database keeps what
 * was deleted until it writes there again, dockerd's log and lists name what was pulled.
 */
function isEnginesMemory(path: string): boolean {
  return /^node-\d\/run\/engine\/(dockerd\.log$|data-distribution\/|containerd\/root\/.*\/meta\.db$)/.test(
    path,
  )
}

/** Where programs write that were not told where; what belongs to other runs left out. */
async function elsewhere(own: string) {
  const folders = ['/tmp', '/var/tmp', '/run', '/var/log', '/root/.docker']
  const foreign: string[] = []
  for (const folder of folders) {
    const names = await readdir(folder).catch(() => [])
    const others = names.filter((name) => /^(potluck-|plk|bash_|dev)/.test(name))
    foreign.push(...others.map((name) => join(folder, name)))
  }
  return { folders, leftOut: [own, ...foreign] }
}

async function isInMemory(path: string): Promise<boolean> {
  return await isTmpfs(dirname(path))
}

async function secretImage(canary: string): Promise<Image> {
  const small = await smallImage()
  const secret = await randomLayer({ sizeBytes: 4 << 20, seed: canary, canary })
  return buildImage({
    layers: [...small.layers, secret],
    config: { Cmd: ['/start'], Env: ['PATH=/bin'] },
    format: 'docker',
  })
}
