/** What `potluck node report` asks of a running node: an alarm by whoever runs the machine. */
import Type, { type Static } from 'typebox'
import type { SecurityEvidence } from '../../protocol/control/index.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { SlotIdSchema, TextSchema } from '../../protocol/wire/index.ts'
import type { Allocations } from '../allocations/index.ts'
import { askLocal, serveLocal } from '../local-socket/index.ts'
import { ReportInvalidError } from './errors.ts'
import type { SecurityDesk } from './security-desk.ts'

const RequestSchema = Type.Object(
  {
    suspect: Type.Union([Type.Literal('host'), Type.Literal('workload')]),
    /** Absent: the only one that runs. */
    slot: Type.Optional(SlotIdSchema),
    sensor: Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' }),
    rule: TextSchema(128),
    text: TextSchema(2_000),
  },
  { additionalProperties: false },
)
const AnswerSchema = Type.Object({
  id: Type.String(),
  slots: Type.Array(Type.String()),
  stopped: Type.Boolean(),
})
export type AlarmRequest = Static<typeof RequestSchema>
export type AlarmAnswer = Static<typeof AnswerSchema>

const topic = { name: 'report', request: RequestSchema, answer: AnswerSchema } as const

/** Answers until the returned function is called. */
export function serveAlarms(
  dataDir: string,
  {
    desk,
    docket,
    logger,
  }: Readonly<{
    desk: Pick<SecurityDesk, 'report'>
    docket: Pick<Allocations['docket'], 'entries'>
    logger: Logger
  }>,
): Promise<() => Promise<void>> {
  const slotFor = ({ suspect, slot }: AlarmRequest): Pick<SecurityEvidence, 'slot'> => {
    if (suspect === 'host') return {}
    if (slot !== undefined) return { slot }
    const [only, ...more] = docket.entries().map(({ order }) => order.slot)
    if (only === undefined) throw new ReportInvalidError('nothing runs here')
    if (more.length === 0) return { slot: only }
    throw new ReportInvalidError(`several run here, name one: ${[only, ...more].join(', ')}`)
  }
  return serveLocal(topic, {
    dataDir,
    logger,
    async answer(request) {
      const { id, slots, stopped } = await desk.report({ ...request, ...slotFor(request) })
      return { id, slots: [...slots], stopped }
    },
  })
}

/** Raises an alarm at the node whose data lie in `dataDir`. @throws as `askLocal` */
export function raiseAlarm(dataDir: string, request: AlarmRequest): Promise<AlarmAnswer> {
  return askLocal(topic, dataDir, request)
}
