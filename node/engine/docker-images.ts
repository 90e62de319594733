/**
 * The images that this node pulled, and no other: an image of the chef's may share layers or even
 * the digest, and stays. Ours are known by their reference, which names the node's loopback
 * endpoint; its port differs from pull to pull, so one image may bear several.
 */
import type { Digest } from '../../protocol/ids.ts'
import { parseImages } from './docker-answers.ts'
import { type CallOptions, type DockerApi, statusOf } from './docker-api.ts'

const digestPattern = /@(sha256:[0-9a-f]{64})$/

export interface DockerImages {
  /** A reference under which the image can be used now; undefined when it is not there. */
  reference(image: Digest, options: CallOptions): Promise<string | undefined>
  digests(options: CallOptions): Promise<readonly Digest[]>
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
    return (await list(options)).flatMap((image) => image.RepoDigests ?? []).filter(isOurs)
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
      return (await references(options)).find((reference) => reference.endsWith(`@${image}`))
    },
    async digests(options) {
      const digests = (await references(options)).map((it) => digestPattern.exec(it)?.[1])
      return [...new Set(digests)].filter((digest) => digest !== undefined) as Digest[]
    },
    async remove(image, options) {
      const found = (await references(options)).filter((it) => it.endsWith(`@${image}`))
      for (const reference of found) await removeByName(reference, options)
      if (!managed) return
      const nameless = (await list(options)).filter(
        (it) => named(it.RepoTags) + named(it.RepoDigests) === 0,
      )
      for (const { Id } of nameless) await removeByName(Id, options)
    },
  }
}

function named(names: readonly string[] | null | undefined): number {
  return (names ?? []).filter((name) => !name.startsWith('<none>')).length
}
