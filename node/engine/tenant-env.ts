/**
 * Which of a tenant's environment variables reach the container. The NVIDIA toolkit's hooks run on
 * the host with the container's environment in reach: an image's `LD_PRELOAD` was an escape
 * (CVE-2025-23266), and `NVIDIA_VISIBLE_DEVICES=all` shows GPUs that were not allocated.
 */

/** The loader's own variables, and those by which the toolkit decides what to show. */
const refusedNames = /^(?:LD_PRELOAD|LD_AUDIT|NVIDIA_.*|CUDA_.*)$/i

export type TenantEnv = Readonly<{
  /** `NAME=value`, in the order given. */
  entries: readonly string[]
  /** Names that were left out: to be told, never with their values. */
  refused: readonly string[]
}>

/** Splits what a tenant asked for into what is passed on and what is not. */
export function filterTenantEnv(env: Readonly<Record<string, string>>): TenantEnv {
  const names = Object.keys(env)
  return {
    entries: names.filter((name) => !refusedNames.test(name)).map((name) => `${name}=${env[name]}`),
    refused: names.filter((name) => refusedNames.test(name)),
  }
}

/**
 * What Potluck itself sets. A name without `=` removes the variable that the image brought along.
 * `void` makes a toolkit that is the engine's default runtime show no GPU at all.
 */
export function deviceEnv(gpuUuids: readonly string[]): readonly string[] {
  if (gpuUuids.length === 0) return ['NVIDIA_VISIBLE_DEVICES=void']
  return [
    'LD_PRELOAD',
    'LD_AUDIT',
    `NVIDIA_VISIBLE_DEVICES=${gpuUuids.join(',')}`,
    'NVIDIA_DRIVER_CAPABILITIES=compute,utility',
    'CUDA_VISIBLE_DEVICES',
  ]
}
