/**
 * The parts of Docker's answers that Potluck reads, as schemas. Engines from 20.10 to 29 give them;
 * what else they say is let through unread.
 */
import Type, { type Static } from 'typebox'
import { answerParser } from './docker-api.ts'
import type { ContainerState, ObservedContainer } from './engine.ts'
import { parseContainerLabels } from './labels.ts'

const labels = Type.Optional(Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]))

export const parseContainers = answerParser(
  'list containers',
  Type.Array(Type.Object({ Id: Type.String(), Labels: labels })),
)

const mount = Type.Object({
  Type: Type.Optional(Type.String()),
  Name: Type.Optional(Type.String()),
})

const inspectSchema = Type.Object({
  Id: Type.String(),
  State: Type.Object({
    Status: Type.String(),
    Running: Type.Boolean(),
    OOMKilled: Type.Boolean(),
    Pid: Type.Integer(),
    ExitCode: Type.Integer(),
    Error: Type.Optional(Type.String()),
  }),
  Config: Type.Object({ Labels: labels }),
  Mounts: Type.Optional(Type.Union([Type.Array(mount), Type.Null()])),
  SizeRw: Type.Optional(Type.Integer()),
  NetworkSettings: Type.Object({
    SandboxKey: Type.Optional(Type.String()),
    Networks: Type.Optional(
      Type.Record(Type.String(), Type.Object({ Gateway: Type.Optional(Type.String()) })),
    ),
  }),
})
export type InspectAnswer = Static<typeof inspectSchema>
export const parseInspect = answerParser('inspect container', inspectSchema)

export const parseCreated = answerParser(
  'create container',
  Type.Object({
    Id: Type.String({ minLength: 1 }),
    Warnings: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
  }),
)

export const parseWaited = answerParser(
  'wait for container',
  Type.Object({ StatusCode: Type.Integer() }),
)

export const parseNetworks = answerParser(
  'list networks',
  Type.Array(Type.Object({ Id: Type.String(), Name: Type.String(), Labels: labels })),
)

const strings = Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()]))
export const parseImages = answerParser(
  'list images',
  Type.Array(Type.Object({ Id: Type.String(), RepoTags: strings, RepoDigests: strings })),
)

export const parseImage = answerParser(
  'inspect image',
  Type.Object({ RootFS: Type.Optional(Type.Object({ Layers: strings })) }),
)

export const parseDiskUsage = answerParser(
  'read disk usage',
  Type.Object({
    Volumes: Type.Optional(
      Type.Union([
        Type.Array(
          Type.Object({
            Name: Type.String(),
            UsageData: Type.Optional(
              Type.Union([Type.Object({ Size: Type.Integer() }), Type.Null()]),
            ),
          }),
        ),
        Type.Null(),
      ]),
    ),
  }),
)

export const parseVersion = answerParser(
  'read versions',
  Type.Object({
    Version: Type.String(),
    KernelVersion: Type.Optional(Type.String()),
    Components: Type.Optional(
      Type.Array(
        Type.Object({
          Name: Type.String(),
          Version: Type.String(),
        }),
      ),
    ),
  }),
)

export const parseInfo = answerParser(
  'read engine info',
  Type.Object({
    Driver: Type.String(),
    DriverStatus: Type.Optional(Type.Union([Type.Array(Type.Array(Type.String())), Type.Null()])),
    DockerRootDir: Type.String(),
    KernelVersion: Type.Optional(Type.String()),
  }),
)

/** One event of a pull's stream. */
export const parsePullEvent = answerParser(
  'follow pull',
  Type.Object({
    id: Type.Optional(Type.String()),
    status: Type.Optional(Type.String()),
    error: Type.Optional(Type.String()),
    errorDetail: Type.Optional(Type.Object({ message: Type.Optional(Type.String()) })),
  }),
)

/** What the daemon is told of a container; undefined when it is not one of Potluck's. */
export function observe(answer: InspectAnswer): ObservedContainer | undefined {
  const identity = parseContainerLabels(answer.Config.Labels)
  if (!identity) return undefined
  const state = stateOf(answer.State.Status)
  return {
    id: answer.Id,
    ...identity,
    state,
    ...(state === 'exited' ? { exitCode: answer.State.ExitCode } : {}),
    oomKilled: answer.State.OOMKilled,
  }
}

/** Docker has more words: `restarting` and `removing` never last, `dead` runs no more. */
function stateOf(status: string): ContainerState {
  switch (status) {
    case 'created':
      return 'created'
    case 'paused':
      return 'paused'
    case 'running':
    case 'restarting':
      return 'running'
    default:
      return 'exited'
  }
}
