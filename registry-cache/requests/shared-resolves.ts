/**
 * One look-up for all who ask the same at the same moment: registries count manifests, and some
 * limit them. What was found is not kept: a tag may move.
 */
import { createHash } from 'node:crypto'
import type { Credentials, ImageSource, ResolvedImage } from '../oci/index.ts'

export interface SharedResolves {
  resolve(reference: string, credentials: Credentials | undefined): Promise<ResolvedImage>
}

export type SharedResolvesComponents = Readonly<{
  source: ImageSource
  /** Bounds look-ups; who joins one takes no turn. */
  inTurn: <T>(work: () => Promise<T>) => Promise<T>
}>

/** @param signal ends all look-ups */
export function createSharedResolves(
  { signal }: { readonly signal: AbortSignal },
  { source, inTurn }: SharedResolvesComponents,
): SharedResolves {
  const underWay = new Map<string, Promise<ResolvedImage>>()
  return {
    resolve(reference, credentials) {
      const asked = nameOf(reference, credentials)
      const known = underWay.get(asked)
      if (known) return known
      const found = inTurn(() => source.resolve(reference, credentials, { signal })).finally(() =>
        underWay.delete(asked),
      )
      underWay.set(asked, found)
      return found
    },
  }
}

/** A hash, so that no password stands in a map. */
function nameOf(reference: string, credentials: Credentials | undefined): string {
  const parts = [reference, credentials?.username ?? null, credentials?.password ?? null]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64')
}
