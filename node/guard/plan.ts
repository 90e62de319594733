/**
 * What the guard has to stop, decided from its file and what the engine shows. Pure. The file says
 * until when each instance may run unless the living daemon extends it; leases.md, "The guard".
 */
import Type, { type Static } from 'typebox'
import {
  CountSchema,
  createCodec,
  InstanceIdSchema,
  ListSchema,
  PeerIdSchema,
  TimeMsSchema,
} from '../../protocol/wire/index.ts'

/** The guard's file: written by the daemon before a container exists, and at each extension. */
export const GuardFileSchema = Type.Object({
  v: Type.Literal(1),
  /** Boot times of another boot mean nothing. */
  bootId: Type.String({ maxLength: 64 }),
  node: PeerIdSchema,
  /** The engine's unix socket. */
  socketPath: Type.String({ maxLength: 512 }),
  entries: ListSchema(
    Type.Object({
      instance: InstanceIdSchema,
      /** On the boot clock. */
      stopAtMs: Type.Number({ minimum: 0 }),
      /** Coordinator's time. For the next daemon: what it judges the instance by. */
      leaseEndMs: Type.Optional(TimeMsSchema),
    }),
    64,
  ),
  /** What the daemon knew when it wrote: good for this boot. */
  world: Type.Optional(
    Type.Object({
      /** Coordinator's time less the boot clock. */
      offsetMs: Type.Optional(Type.Number()),
      otherHouseholds: Type.Optional(CountSchema()),
    }),
  ),
})
export type GuardFile = Static<typeof GuardFileSchema>

export const guardFileCodec = createCodec('guard file', GuardFileSchema, { maxBytes: 65_536 })

export type RunningContainer = Readonly<{ id: string; instance: string }>

/**
 * Containers of this node to stop now: those past their time, and those that the file does not
 * know. With a file of another boot, or none that can be read, nothing is accounted for.
 */
export function containersToStop(
  file: GuardFile | undefined,
  running: readonly RunningContainer[],
  { nowMs, bootId }: { readonly nowMs: number; readonly bootId: string },
): readonly RunningContainer[] {
  const stopAtMs = new Map<string, number>()
  if (file?.bootId === bootId) {
    for (const entry of file.entries) stopAtMs.set(entry.instance, entry.stopAtMs)
  }
  return running.filter(({ instance }) => (stopAtMs.get(instance) ?? 0) <= nowMs)
}
