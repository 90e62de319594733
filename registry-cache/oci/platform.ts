/** Picks, from an index, the one image that this network's machines can run. */
import { ImageSourceError } from './errors.ts'

export type Platform = Readonly<{ os: string; architecture: string; variant?: string | undefined }>

/** What nodes run. Without a variant: the baseline that every 64-bit PC has. */
export const LINUX_AMD64: Platform = { os: 'linux', architecture: 'amd64' }

/** `linux/arm/v7`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}

const ARCHITECTURE_ALIASES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
}
/** What no variant means, as containerd's platforms package normalises it. */
const DEFAULT_VARIANTS: Readonly<Record<string, number>> = { amd64: 1, arm64: 8, arm: 7 }

/**
 * How well `offered` runs on `wanted`: 0 not at all, more is better. A machine runs every variant up
 * to its own (an amd64/v3 image uses instructions that a v2 processor lacks), best the highest.
 */
export function platformRank(offered: Platform, wanted: Platform): number {
  const architecture = ARCHITECTURE_ALIASES[offered.architecture] ?? offered.architecture
  if (offered.os !== wanted.os || architecture !== wanted.architecture) return 0
  const offeredLevel = variantLevel(architecture, offered.variant)
  const wantedLevel = variantLevel(wanted.architecture, wanted.variant)
  return offeredLevel !== undefined && wantedLevel !== undefined && offeredLevel <= wantedLevel
    ? offeredLevel
    : 0
}

function variantLevel(architecture: string, variant: string | undefined): number | undefined {
  if (!variant) return DEFAULT_VARIANTS[architecture] ?? 1
  const level = /^v(\d{1,2})$/.exec(variant)?.[1]
  return level === undefined ? undefined : Number(level)
}

/** @returns the error that lists what there is instead. */
export function platformNotFound(
  image: string,
  wanted: Platform,
  offered: readonly Platform[],
): ImageSourceError {
  const known = offered.filter(({ os }) => os !== 'unknown') // attestations call themselves unknown
  const names = [...new Set(known.map(formatPlatform))].slice(0, 20)
  const list = names.map((name) => name.replace(/[^\w./-]/g, '?').slice(0, 64)).join(', ')
  return new ImageSourceError(
    'PLATFORM_NOT_FOUND',
    `${image} has no image for ${formatPlatform(wanted)}; it has: ${list || 'none with a platform'}. ` +
      `Build and push it for ${formatPlatform(wanted)}`,
    { fields: { image, wanted: formatPlatform(wanted), offered: list } },
  )
}
