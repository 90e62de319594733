/** What `potluck node limits` asks of a running node: its bandwidth limits, or others for a while. */
import Type, { type Static } from 'typebox'
import type { Logger } from '../../protocol/log/index.ts'
import { askLocal, serveLocal } from '../local-socket/index.ts'
import type { Bandwidth } from './bandwidth.ts'
import { leastBitsPerS } from './schedule.ts'

const BitsSchema = Type.Integer({ minimum: leastBitsPerS })
const LimitsSchema = Type.Object(
  { uploadBitsPerS: Type.Optional(BitsSchema), downloadBitsPerS: Type.Optional(BitsSchema) },
  { additionalProperties: false },
)
const RequestSchema = Type.Object(
  {
    /** Absent: only asks. Empty: ends an earlier wish. */
    limits: Type.Optional(LimitsSchema),
    forMs: Type.Integer({ minimum: 0, maximum: 31 * 86_400_000 }),
  },
  { additionalProperties: false },
)
const AnswerSchema = Type.Object({
  /** What the chef chose, in force now; absent: by default. */
  chosen: LimitsSchema,
  /** What the swarm may send now; absent: no limit. */
  uploadBitsPerS: Type.Optional(Type.Number()),
})
export type LimitsRequest = Static<typeof RequestSchema>
export type LimitsAnswer = Static<typeof AnswerSchema>

const topic = { name: 'limits', request: RequestSchema, answer: AnswerSchema } as const

/** Answers until the returned function is called. */
export function serveLimits(
  dataDir: string,
  {
    bandwidth,
    logger,
  }: { bandwidth: Pick<Bandwidth, 'hold' | 'chosen' | 'limits'>; logger: Logger },
): Promise<() => Promise<void>> {
  const answer = (request: LimitsRequest): LimitsAnswer => {
    if (request.limits) bandwidth.hold(request.limits, request.forMs)
    const { uploadBytesPerS } = bandwidth.limits()
    return {
      chosen: bandwidth.chosen(),
      ...(uploadBytesPerS === undefined ? {} : { uploadBitsPerS: uploadBytesPerS * 8 }),
    }
  }
  return serveLocal(topic, { dataDir, answer, logger })
}

/** Asks the node whose data lie in `dataDir`. @throws {NodeNotThereError} @throws {NodeRefusedError} */
export function askLimits(dataDir: string, request: LimitsRequest): Promise<LimitsAnswer> {
  return askLocal(topic, dataDir, request)
}
