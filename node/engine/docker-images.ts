/**
 * The images that this node pulled or loaded, and no other: an image of the chef's may share layers
 * or even the digest, and stays. Ours are known by their reference, which names the node's loopback
 * endpoint; its port differs from pull to pull, so one image may bear several. What is loaded has no
 * digest in the engine's eyes, so its tag says it.
 */
import type { Digest } from '../../protocol/ids.ts'
import { parseImage, parseImages } from './docker-answers.ts'
import { type CallOptions, type DockerApi, statusOf } from './docker-api.ts'

const digestPattern = /(?:@sha256:|:sha256-)([0-9a-f]{64})$/
/** Nothing listens there: an engine that lost the image must not get another one for it. */
const loadedHost = '127.0.0.1:1'

export interface DockerImages {
  /** A reference under which the image can be used now; undefined when it is not there. */
  reference(image: Digest, options: CallOptions): Promise<string | undefined>
  digests(options: CallOptions): Promise<readonly Digest[]>
  /** The name and tag that a loaded image is given. */
  loadedReference(image: Digest): string
  /** Digests of unpacked layers from the bottom, of every image in the engine. */
  layers(options: CallOptions): Promise<readonly (readonly string[])[]>
  /** Takes this node's references off; Docker deletes what nothing refers to any more. */
  remove(image: Digest, options: CallOptions): Promise<void>
}

export type DockerImagesInit = Readonly<{
  /** Repositories of the node's endpoint begin with this (`127.0.0.1:PORT/<repository>…`). */
  repository: string
  /** The engine is ours alone, so that an image without any name is a leftover of ours. */
  managed: boolean
}>

export function createDockerImages(
  api: DockerApi,
  { repository, managed }: DockerImagesInit,
): DockerImages {
  const { docker, call } = api
  const isOurs = (reference: string): boolean =>
    /^127\.0\.0\.1:\d{1,5}\//.test(reference) &&
    reference.slice(reference.indexOf('/') + 1).startsWith(repository)

  async function list(options: CallOptions) {
    const answer = await call('list images', options, (abortSignal) =>
      docker.listImages({ digests: true, abortSignal }),
    )
    return parseImages(answer)
  }

  async function references(options: CallOptions): Promise<readonly string[]> {
    const all = (await list(options)).flatMap(({ RepoDigests, RepoTags }) => [
      ...(RepoDigests ?? []),
      ...(RepoTags ?? []),
    ])
    return all.filter(isOurs)
  }

  async function layersOf(id: string, options: CallOptions): Promise<readonly string[]> {
    try {
      const answer = await api.get(`/images/${id}/json`, {}, options)
      return parseImage(answer).RootFS?.Layers ?? []
    } catch (error) {
      if (statusOf(error) === 404) return [] // removed meanwhile
      throw error
    }
  }

  async function removeByName(name: string, options: CallOptions): Promise<void> {
    try {
      await call(`remove image ${name}`, options, (abortSignal) =>
        docker.getImage(name).remove({ abortSignal }),
      )
    } catch (error) {
      // 404: gone already. 409: a container uses it, and its removal asks again.
      if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error
    }
  }

  return {
    async reference(image, options) {
      return (await references(options)).find((reference) => digestIn(reference) === image)
    },
    async digests(options) {
      const digests = new Set((await references(options)).map(digestIn))
      return [...digests].filter((digest) => digest !== undefined)
    },
    loadedReference: (image) => `${loadedHost}/${repository}:${image.replace(':', '-')}`,
    async layers(options) {
      const ids = (await list(options)).map(({ Id }) => Id)
      return await Promise.all(ids.map((id) => layersOf(id, options)))
    },
    async remove(image, options) {
      const found = (await references(options)).filter((it) => digestIn(it) === image)
      for (const reference of found) await removeByName(reference, options)
      if (!managed) return
      const nameless = (await list(options)).filter(
        (it) => named(it.RepoTags) + named(it.RepoDigests) === 0,
      )
      for (const { Id } of nameless) await removeByName(Id, options)
    },
  }
}

function digestIn(reference: string): Digest | undefined {
  const hex = digestPattern.exec(reference)?.[1]
  return hex === undefined ? undefined : (`sha256:${hex}` as Digest)
}

function named(names: readonly string[] | null | undefined): number {
  return (names ?? []).filter((name) => !name.startsWith('<none>')).length
}
