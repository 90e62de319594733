import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  credentialsCodec,
  ingestSecretsCodec,
  type UpMessage,
} from '../../protocol/control/index.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { BundleId } from '../../protocol/ids.ts'
import { type LogFields, type Logger, silentLogger } from '../../protocol/log/index.ts'
import { createKeyRing, type KeyRing, seal } from '../../protocol/sealing/index.ts'
import { type Ingester, type IngestRequest, WrongBlobError } from '../ingest/index.ts'
import {
  createSimulatedSource,
  digestOf,
  type ImageSource,
  ImageSourceError,
} from '../oci/index.ts'
import { createRequests, type Requests, type RequestsInit } from './requests.ts'

const bundle = 'ab'.repeat(32) as BundleId
const password = 'canary-swordfish'
const digest = digestOf(randomBytes(1))

type Work = PromiseWithResolvers<void> & { readonly request: IngestRequest; abortedBy?: unknown }

describe('requests of the coordinator', () => {
  let dir: string
  let ring: KeyRing
  let requests: Requests
  let sent: UpMessage[]
  let works: Work[]
  let held: BundleId[]
  let isUp: boolean
  let logged: unknown[]
  let source: ImageSource
  let heard: () => void

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'potluck-requests-'))
    ring = createKeyRing({ dir })
    ;[sent, works, held, isUp, logged] = [[], [], [], true, []]
    heard = () => undefined
    source = createSimulatedSource()
    requests = open()
  })
  afterEach(async () => {
    await requests.stop()
    await rm(dir, { recursive: true })
  })

  const note = (fields: LogFields, message: string): void => {
    logged.push(fields, message)
  }
  const logger: Logger = { ...silentLogger, info: note, warn: note, error: note }
  const ingester: Ingester = {
    async ingest(request, { signal, onStart }) {
      const work: Work = { ...Promise.withResolvers<void>(), request }
      signal.addEventListener('abort', () => work.reject(signal.reason))
      works.push(work)
      heard()
      let bytesDone = 0
      onStart?.(() => {
        bytesDone += 1
        return { bytesDone, bytesTotal: 10_000 }
      })
      await work.promise
      held.push(bundle)
      return { bundle, blobIds: [], registryBytes: 1 }
    },
    bundles: () => held,
    drop(dropped) {
      held = held.filter((one) => one !== dropped)
    },
    stop: async () => undefined,
  }
  const open = (init: RequestsInit = {}): Requests =>
    createRequests(init, {
      ...{ source, ingester, ring, logger },
      send(message) {
        if (!isUp) return false
        sent.push(message)
        heard()
        return true
      },
    })
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
  }
  const sealed = async (bytes: Uint8Array) => seal(bytes, (await ring.make(1))[0]!)
  const ask = async (id = randomUUID()) => {
    const secrets = ingestSecretsCodec.encode({
      repository: 'registry.example/acme/app',
      credentials: { username: 'tenant', password },
      blobs: [{ digest, sizeBytes: 1, mediaType: 'x/y', key: new Uint8Array(32).fill(7) }],
    })
    return { type: 'ingest' as const, id, sealed: await sealed(secrets) }
  }
  const answers = () => sent.filter(({ type }) => type === 'ingested' || type === 'resolved')

  it('uses up a key, hides the credentials, and wipes the keys of blobs when it is over', async () => {
    requests.take(await ask())
    expect(requests.keysInUse()).to.have.length(1)
    await until(() => works.length === 1)
    expect(await readdir(dir)).to.deep.equal([])
    expect(requests.keysInUse()).to.deep.equal([])
    const { request, resolve } = works[0]!
    expect(request.credentials?.password).to.equal(password)
    expect(JSON.stringify(request.credentials)).to.not.contain(password)
    expect(request.blobs[0]!.key).to.deep.equal(new Uint8Array(32).fill(7))
    resolve()
    await until(() => answers().length === 1)
    expect(request.blobs[0]!.key).to.deep.equal(new Uint8Array(32))
  })

  it('answers a request that is asked again without doing it again', async () => {
    const order = await ask()
    requests.take(order)
    await until(() => works.length === 1)
    requests.take(order)
    works[0]!.resolve()
    await until(() => answers().length === 1)
    requests.take(order)
    await until(() => answers().length === 2)
    expect(answers()[1]).to.deep.equal(answers()[0])
    expect(works).to.have.length(1)
    requests.take({ type: 'drop-bundle', bundle })
    requests.take(order)
    await until(() => answers().length === 3)
    // Its key is used up: whoever asks has to seal again.
    expect(answers()[2]).to.have.nested.property('fault.code', 'UNSEAL_FAILED')
  })

  it('keeps an answer that no stream took, and works on without one', async () => {
    requests.take(await ask())
    await until(() => works.length === 1)
    isUp = false
    works[0]!.resolve()
    await works[0]!.promise
    await new Promise((resolve) => setImmediate(resolve))
    expect(answers()).to.deep.equal([])
    isUp = true
    requests.resend()
    expect(answers()).to.have.length(1)
    requests.resend()
    expect(answers()).to.have.length(1)
  })

  it('says what went wrong by its code, and nothing secret or of its own disk', async () => {
    const faults: [Error, string][] = [
      [new ImageSourceError('UNAUTHORIZED', `refuses ${password}`), 'UNAUTHORIZED'],
      [new WrongBlobError('registry.example/acme/app', digest), 'DIGEST_MISMATCH'],
      [new Error(`at /secret/path with ${password}`), 'CACHE_FAILED'],
      [new PotluckError('STORE_DISK', 'cannot write /secret/path'), 'CACHE_FAILED'],
      [new PotluckError('not a code', 'x'), 'CACHE_FAILED'],
    ]
    for (const [index, [error, code]] of faults.entries()) {
      requests.take(await ask())
      await until(() => works.length === index + 1)
      works[index]!.reject(error)
      await until(() => answers().length === index + 1)
      const answer = answers()[index]!
      expect(answer).to.have.nested.property('fault.code', code)
      expect('wrongBlob' in answer && answer.wrongBlob === digest).to.equal(index === 1)
    }
    expect(JSON.stringify(sent)).to.not.contain(password).and.not.contain('/secret')
  })

  it('bounds what it works on and what waits', async () => {
    await requests.stop()
    requests = open({ ingestsMax: 2, waitingMax: 3 })
    const orders = await Promise.all(Array.from({ length: 6 }, () => ask()))
    for (const order of orders) requests.take(order)
    await until(() => answers().length === 1)
    expect(answers()[0]).to.have.nested.property('fault.code', 'CACHE_BUSY')
    expect(works).to.have.length(2)
    for (let done = 0; done < 5; done += 1) {
      await until(() => works.length > done)
      works[done]!.resolve()
    }
    await until(() => answers().length === 6)
  })

  it('tells progress at its pace, and no more once it is over', async () => {
    await requests.stop()
    requests = open({ progressEveryMs: 5 })
    requests.take(await ask())
    await until(() => sent.length >= 3)
    expect(sent[0]).to.include({ type: 'ingest-progress', bytesDone: 1, bytesTotal: 10_000 })
    works[0]!.resolve()
    await until(() => answers().length === 1)
    const after = sent.length
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(sent).to.have.length(after)
  })

  it('asks a registry once for all who ask the same at the same moment', async () => {
    let resolves = 0
    const { resolve } = source
    const gate = Promise.withResolvers<void>()
    source.resolve = async (...args) => {
      resolves += 1
      await gate.promise
      return await resolve(...args)
    }
    const secrets = credentialsCodec.encode({ username: 'tenant', password })
    const reference = 'registry.example/acme/app:v1'
    const boxes = await Promise.all(Array.from({ length: 20 }, () => sealed(secrets)))
    for (const credentials of boxes) {
      requests.take({ type: 'resolve', id: randomUUID(), reference, credentials })
    }
    requests.take({ type: 'resolve', id: randomUUID(), reference })
    while ((await readdir(dir)).length > 0 || requests.keysInUse().length > 0);
    gate.resolve()
    await until(() => answers().length === 21)
    expect(resolves).to.equal(2)
    const isPublic = answers().filter((one) => one.type === 'resolved' && one.image?.isPublic)
    expect(isPublic).to.have.length(1)
    requests.take({ type: 'resolve', id: randomUUID(), reference: 'NOT A REFERENCE' })
    await until(() => answers().length === 22)
    expect(answers()[21]).to.have.nested.property('fault.code', 'REFERENCE_INVALID')
  })

  it('stops what is under way, without an answer', async () => {
    requests.take(await ask())
    await until(() => works.length === 1)
    await requests.stop()
    expect(answers()).to.deep.equal([])
    requests.take(await ask())
    expect(works).to.have.length(1)
  })
})
