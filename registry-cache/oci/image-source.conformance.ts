/** What every image source does, whoever is behind it. */
import { expect } from 'chai'
import { errorCode } from '../../protocol/errors.ts'
import type { Digest } from '../../protocol/ids.ts'
import { digestOf } from './digest.ts'
import type { Credentials, ImageSource, ResolvedBlob } from './image-source.ts'
import { checkImageConfig } from './manifest.ts'
import { LINUX_AMD64 } from './platform.ts'

export type ImageSourceSubject = Readonly<{
  source: ImageSource
  /** A reference with a tag that exists, of at least one layer of 256 KiB. */
  reference: string
  /** What it takes to read it. */
  credentials: Credentials | undefined
}>

/** Runs the suite; `open` makes a fresh subject, and what it opened is for `close` to end. */
export function imageSourceConformance(
  name: string,
  { open, close }: { open: () => Promise<ImageSourceSubject>; close: () => Promise<void> },
): void {
  describe(`image source: ${name}`, () => {
    const { signal } = new AbortController()
    let source: ImageSource
    let reference: string
    let credentials: Credentials | undefined

    before(async () => {
      ;({ source, reference, credentials } = await open())
    })
    after(async () => {
      await source.close()
      await source.close()
      await close()
    })
    const resolve = (text = reference) => source.resolve(text, credentials, { signal })
    const read = (repository: string, blob: ResolvedBlob, fromByte = 0) =>
      readAll(source.readBlob(repository, blob, credentials, { fromByte, signal }))

    it('resolves to a manifest that has its digest and says what it holds', async () => {
      const image = await resolve()
      expect(digestOf(image.manifest)).to.equal(image.manifestDigest)
      const manifest = JSON.parse(Buffer.from(image.manifest).toString())
      expect(manifest.config.digest).to.equal(image.config.digest)
      const digests = manifest.layers.map((layer: { digest: string }) => layer.digest)
      expect(digests).to.deep.equal(image.layers.map(({ digest }) => digest))
      const sum = [image.config, ...image.layers].reduce((all, { sizeBytes }) => all + sizeBytes, 0)
      expect(image.sizeBytes).to.equal(sum)
      expect(image.public).to.equal(credentials === undefined)
    })

    it('resolves the same image again, by tag and by digest', async () => {
      const { repository, manifestDigest } = await resolve()
      expect((await resolve()).manifestDigest).to.equal(manifestDigest)
      expect((await resolve(`${repository}@${manifestDigest}`)).manifestDigest).to.equal(
        manifestDigest,
      )
    })

    it('brings every blob whole, and a config for the image', async () => {
      const image = await resolve()
      for (const blob of [image.config, ...image.layers]) {
        const bytes = await read(image.repository, blob)
        expect(bytes.length).to.equal(blob.sizeBytes)
        expect(digestOf(bytes)).to.equal(blob.digest)
      }
      checkImageConfig(image, await read(image.repository, image.config), LINUX_AMD64)
    })

    it('brings the rest of a blob, from any byte', async () => {
      const { repository, layers } = await resolve()
      const layer = layers[0]!
      const whole = await read(repository, layer)
      for (const fromByte of [1, 65_536, 65_537, layer.sizeBytes - 1, layer.sizeBytes]) {
        const rest = await read(repository, layer, fromByte)
        expect(whole.subarray(fromByte).equals(rest), `from ${fromByte}`).to.equal(true)
      }
    })

    it('lets a reader leave early, and serves the next', async () => {
      const { repository, layers } = await resolve()
      const layer = layers[0]!
      for await (const chunk of source.readBlob(repository, layer, credentials, {
        fromByte: 0,
        signal,
      })) {
        expect(chunk.length).to.be.greaterThan(0)
        break
      }
      expect(digestOf(await read(repository, layer))).to.equal(layer.digest)
    })

    it('stops with the reason of the signal, before and in the middle', async () => {
      const { repository, layers } = await resolve()
      const reason = new Error('the tenant left')
      const aborted = AbortSignal.abort(reason)
      expect(await failure(source.resolve(reference, credentials, { signal: aborted }))).to.equal(
        reason,
      )
      const controller = new AbortController()
      const options = { fromByte: 0, signal: controller.signal }
      const reading = (async () => {
        for await (const _ of source.readBlob(repository, layers[0]!, credentials, options)) {
          controller.abort(reason)
        }
      })()
      expect(await failure(reading)).to.equal(reason)
    })

    it('knows which blobs it has', async () => {
      const { repository, layers, config } = await resolve()
      const has = (digest: Digest) => source.hasBlob(repository, digest, credentials, { signal })
      expect(await has(layers[0]!.digest)).to.equal(true)
      expect(await has(config.digest)).to.equal(true)
      expect(await has(digestOf(Buffer.from('nowhere')))).to.equal(false)
    })

    it('refuses what is no reference', async () => {
      for (const text of ['', 'UPPER', 'a//b', 'a:b:c', 'a@sha256:12', 'a b', 'x/../y', '-/a']) {
        expect(errorCode(await failure(resolve(text))), text).to.equal('REFERENCE_INVALID')
      }
    })
  })
}

/** All bytes of a stream. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What a promise rejects with; fails the test if it does not. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection')
}
