/**
 * Reads image references the way Docker does, so that a tenant's `ubuntu` means here what it means
 * on their desk. Grammar: distribution/reference (`reference.go`, `regexp.go`), Apache-2.0.
 */
import type { Digest } from '../../protocol/ids.ts'
import { isDigest } from './digest.ts'
import { ImageSourceError } from './errors.ts'

export type Reference = Readonly<{
  /** As people write it: `docker.io`, `ghcr.io`, `localhost:5000`, `[::1]:5000`. */
  registry: string
  /** `library/ubuntu`. */
  path: string
  tag: string | undefined
  digest: Digest | undefined
}>

const REGISTRY =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const TAG = /^\w[\w.-]{0,127}$/
const REFERENCE_LENGTH_MAX = 512
const NAME_LENGTH_MAX = 255
const DOCKER_HUB = 'docker.io'
const DOCKER_HUB_ALIASES: readonly string[] = ['index.docker.io', 'registry-1.docker.io']

/**
 * `ubuntu` → docker.io, library/ubuntu, tag latest; a tag beside a digest is kept, the digest counts.
 * @throws {ImageSourceError} `REFERENCE_INVALID`, naming the part.
 */
export function parseReference(text: string): Reference {
  if (text.length > REFERENCE_LENGTH_MAX) throw invalid(text, 'is longer than 512 characters')
  const [named = '', digest, ...more] = text.split('@')
  if (more.length > 0) throw invalid(text, "has more than one '@'")
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(text, "has a digest that is not 'sha256:' and 64 lower-case hex digits")
  }
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const name = colon === -1 ? named : named.slice(0, colon)
  const tag = colon === -1 ? undefined : named.slice(colon + 1)
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(text, 'has a tag that is not 1 to 128 letters, digits, dots, dashes, underscores')
  }
  const { registry, path } = splitName(name)
  if (!REGISTRY.test(registry) || !URL.canParse(`https://${registry}/`)) {
    throw invalid(text, `names no valid registry host ('${registry.slice(0, 64)}')`)
  }
  checkPath(text, path)
  if (registry.length + 1 + path.length > NAME_LENGTH_MAX) {
    throw invalid(text, 'has a name longer than 255 characters')
  }
  return { registry, path, tag: tag ?? (digest ? undefined : 'latest'), digest }
}

/** The reference written out: `docker.io/library/ubuntu:latest`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${repositoryOf(reference)}${tag}${digest}`
}

/** `host/path`, as {@link ResolvedImage} has it. */
export function repositoryOf({ registry, path }: Reference): string {
  return `${registry}/${path}`
}

/** The two parts of a `host/path`. @throws {ImageSourceError} `REFERENCE_INVALID`. */
export function parseRepository(repository: string): Readonly<{ registry: string; path: string }> {
  const { registry, path } = parseReference(repository)
  return { registry, path }
}

/** The host that serves a registry's API: Docker Hub's is not the one that people write. */
export function apiHost(registry: string): string {
  return registry === DOCKER_HUB ? 'registry-1.docker.io' : registry
}

/** The first part is a host if it could be no repository: it has a dot, a port, or is localhost. */
function splitName(name: string): { registry: string; path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const registry = first.toLowerCase()
  const isHost = /[.:]/.test(first) || registry === 'localhost'
  if (slash === -1 || !isHost) return onDockerHub(name)
  const path = name.slice(slash + 1)
  return registry === DOCKER_HUB || DOCKER_HUB_ALIASES.includes(registry)
    ? onDockerHub(path)
    : { registry, path }
}

function onDockerHub(path: string): { registry: string; path: string } {
  return { registry: DOCKER_HUB, path: path.includes('/') ? path : `library/${path}` }
}

function checkPath(text: string, path: string): void {
  for (const part of path.split('/')) {
    if (PATH_PART.test(part)) continue
    throw invalid(
      text,
      `has a part '${part.slice(0, 64)}' that is not lower-case letters and digits joined by '.', '_', '__' or '-'`,
    )
  }
}

function invalid(text: string, why: string): ImageSourceError {
  // What stands before an '@' may be a password that was put in, as in URLs.
  const named = /@sha256:/.test(text) ? text : text.replace(/^.*@/s, '…@')
  const shown = named.slice(0, 128).replace(/[^\x21-\x7e…]/g, '?')
  return new ImageSourceError(
    'REFERENCE_INVALID',
    `image reference '${shown}' ${why}. Write it like 'ubuntu:24.04' or 'ghcr.io/owner/name@sha256:…'`,
    { fields: { reference: shown } },
  )
}
