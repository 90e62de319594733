/** Alarms and held groups over HTTP, for operators: what nodes reported, and the end of a review. */
import Type, { type Static } from 'typebox'
import type { GroupId } from '../../../../protocol/ids.ts'
import {
  type Hold,
  type ReportRecord,
  reportOutcomes,
  type SecurityReview,
} from '../../../security/index.ts'
import { ProblemSchema } from '../../problems.ts'
import { type ApiInstance, bodyProblems, commonProblems } from '../context.ts'

export type SecurityRoutesContext = Readonly<{
  security: SecurityReview
  /** Names for people: `acme/web/hello`; undefined of a group that is gone. */
  nameOf: (group: GroupId) => string | undefined
}>

const reportsShown = 1_000
const TimeSchema = Type.String({ format: 'date-time' })
const ReportSchema = Type.Object({
  id: Type.String(),
  node: Type.String(),
  household: Type.String(),
  at: TimeSchema,
  suspect: Type.Enum(['host', 'workload']),
  slot: Type.Optional(Type.String()),
  sensor: Type.String(),
  rule: Type.String(),
  text: Type.String(),
  outcome: Type.Enum([...reportOutcomes]),
  why: Type.Optional(Type.String()),
  false_alarm: Type.Boolean(),
})
const HoldSchema = Type.Object({
  group: Type.String(),
  name: Type.Union([Type.String(), Type.Null()]),
  since: TimeSchema,
  reports: Type.Array(Type.String()),
})

const tags = ['admin']

export function securityRoutes(app: ApiInstance, context: SecurityRoutesContext): void {
  const { security, nameOf } = context
  app.get(
    '/security-reports',
    {
      schema: {
        ...{
          operationId: 'admin_list_security_reports',
          summary: 'List alarms, newest first',
          tags,
        },
        response: { 200: Type.Object({ items: Type.Array(ReportSchema) }), ...commonProblems },
      },
    },
    async () => ({ items: security.reports(reportsShown).map(presentReport) }),
  )
  app.get(
    '/holds',
    {
      schema: {
        ...{ operationId: 'admin_list_holds', summary: 'List groups held for a review', tags },
        response: { 200: Type.Object({ items: Type.Array(HoldSchema) }), ...commonProblems },
      },
    },
    async () => ({ items: security.holds().map((hold) => presentHold(hold, nameOf)) }),
  )
  app.post(
    '/holds/:group/release',
    {
      schema: {
        ...{ operationId: 'admin_release_hold', summary: 'End the review of a held group', tags },
        description: 'It is given instances again. A false alarm counts against who raised it.',
        params: Type.Object({ group: Type.String() }),
        body: Type.Object(
          {
            note: Type.Optional(Type.String({ maxLength: 1_000 })),
            false_alarm: Type.Optional(Type.Boolean()),
          },
          { additionalProperties: false },
        ),
        response: {
          204: Type.Unsafe<undefined>({ type: 'null', description: 'Released' }),
          ...{ ...bodyProblems, 409: ProblemSchema },
        },
      },
    },
    async ({ params, body }, reply) => {
      const { note = '', false_alarm: falseAlarm = false } = body
      const group = params.group.toLowerCase() as GroupId
      await security.release(group, { by: 'operator', note, falseAlarm })
      return reply.code(204).send(undefined)
    },
  )
}

function presentReport(report: ReportRecord): Static<typeof ReportSchema> {
  const { id, node, household, takenMs, evidence, outcome, why, falseAlarm = false } = report
  const { suspect, slot, sensor, rule, text } = evidence
  return {
    ...{ id, node, household, at: timeOf(takenMs), suspect, sensor, rule, text, outcome },
    ...(slot === undefined ? {} : { slot }),
    ...(why === undefined ? {} : { why }),
    false_alarm: falseAlarm,
  }
}

function presentHold(
  { group, sinceMs, reports }: Hold,
  nameOf: SecurityRoutesContext['nameOf'],
): Static<typeof HoldSchema> {
  return { group, name: nameOf(group) ?? null, since: timeOf(sinceMs), reports: [...reports] }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
