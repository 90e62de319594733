/**
 * Waits for something to become true of the group, looking again and again as a tenant would, and
 * shows each look. Without a deadline a network that makes no progress would hang the demo.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { PotluckError } from '../../protocol/errors.ts'
import type { DemoGroup, DemoInstance, Tenant } from './tenant.ts'

export type Look = Readonly<{ group: DemoGroup; instances: readonly DemoInstance[] }>

export type WatchInit = Readonly<{
  group: string
  /** What is waited for, for the error that says it did not come. */
  what: string
  deadlineMs: number
  signal: AbortSignal
  onLook: (look: Look) => void
}>

const pauseMs = 250

/** The first look at which `isReached` holds. @throws {PotluckError} DEMO_TOO_SLOW, DEMO_IMAGE_FAILED */
export async function watchGroup(
  tenant: Tenant,
  { group: name, what, deadlineMs, signal, onLook }: WatchInit,
  isReached: (look: Look) => boolean | Promise<boolean>,
): Promise<Look> {
  const endsMs = performance.now() + deadlineMs
  for (;;) {
    signal.throwIfAborted()
    const look = { group: await tenant.group(name), instances: await tenant.instances(name) }
    onLook(look)
    if (await isReached(look)) return look
    const { image } = look.group.potluck
    if (image.state === 'failed') {
      throw new PotluckError('DEMO_IMAGE_FAILED', `the image: ${image.fault?.message ?? 'failed'}`)
    }
    if (performance.now() > endsMs) {
      throw new PotluckError(
        'DEMO_TOO_SLOW',
        `${what}: not so after ${deadlineMs / 1_000} s; ${describeLook(look)}`,
      )
    }
    await sleep(pauseMs, undefined, { signal })
  }
}

/** Polls `isReached` until it holds. @throws {PotluckError} DEMO_TOO_SLOW */
export async function waitUntil(
  what: string,
  { deadlineMs, signal }: Pick<WatchInit, 'deadlineMs' | 'signal'>,
  isReached: () => Promise<boolean>,
): Promise<void> {
  const endsMs = performance.now() + deadlineMs
  while (!(await isReached())) {
    if (performance.now() > endsMs) {
      throw new PotluckError('DEMO_TOO_SLOW', `${what}: not so after ${deadlineMs / 1_000} s`)
    }
    await sleep(pauseMs, undefined, { signal })
  }
}

function describeLook({ group, instances }: Look): string {
  const { status, description } = group.current_state
  const states = instances.map(({ state, potluck }) => {
    const fault = potluck.fault ? ` (${potluck.fault.code}: ${potluck.fault.message})` : ''
    return `slot ${potluck.slot} epoch ${potluck.epoch} ${state}${fault}`
  })
  return [`the group is ${status}${description ? `, ${description}` : ''}`, ...states].join('; ')
}
