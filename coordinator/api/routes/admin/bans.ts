/** Bans over HTTP, for operators: who is refused and why, and the way back. */
import Type, { type Static } from 'typebox'
import type { PeerId } from '../../../../protocol/ids.ts'
import {
  type BanBook,
  BanNotFoundError,
  BanReasonSchema,
  type BanRecord,
  BanSourceSchema,
} from '../../../bans/index.ts'
import type { Reputation } from '../../../reputation/index.ts'
import { ProblemSchema } from '../../problems.ts'
import { type ApiInstance, bodyProblems, commonProblems } from '../context.ts'

export type BanRoutesContext = Readonly<{
  bans: BanBook
  reputation: Pick<Reputation, 'suspects'>
}>

/** So long an operator's override holds by default. */
const shieldSDefault = 7 * 86_400
const secondsMax = 10 * 365 * 86_400

const PeerIdText = Type.String({ pattern: '^[1-9A-HJ-NP-Za-km-z]{32,64}$' })
const Note = Type.String({ maxLength: 1_000 })
const Seconds = Type.Integer({ minimum: 1, maximum: secondsMax })
const TimeSchema = Type.String({ format: 'date-time' })

const BanSchema = Type.Object({
  peer: Type.String(),
  reason: BanReasonSchema,
  source: BanSourceSchema,
  by: Type.String(),
  note: Type.String(),
  in_force: Type.Boolean(),
  since: TimeSchema,
  expires: Type.Optional(TimeSchema),
  times: Type.Integer({ description: 'How often it was banned so far.' }),
  evidence: Type.Array(
    Type.Object({
      at: TimeSchema,
      source: BanSourceSchema,
      by: Type.String(),
      text: Type.String(),
    }),
  ),
  appeal: Type.Optional(Type.Object({ at: TimeSchema, note: Type.String() })),
  lifted: Type.Optional(Type.Object({ at: TimeSchema, by: Type.String(), note: Type.String() })),
  shielded_until: Type.Optional(
    Type.String({ format: 'date-time', description: 'Until then nothing automatic bans it.' }),
  ),
})

const SuspectSchema = Type.Object({
  peer: Type.String(),
  accusers: Type.Integer({ description: 'Households that accuse it.' }),
  weight: Type.Number({ description: 'What their words weigh together.' }),
  needed: Type.Number({ description: 'For a ban without an operator.' }),
})

const tags = ['admin']
const problems = { ...bodyProblems, 409: ProblemSchema }
const Params = Type.Object({ peer: Type.String() })

export function banRoutes(app: ApiInstance, { bans, reputation }: BanRoutesContext): void {
  const found = (peer: string): BanRecord => {
    const record = bans.get(peer as PeerId)
    if (!record) throw new BanNotFoundError(peer)
    return record
  }
  app.get(
    '/bans',
    {
      schema: {
        ...{ operationId: 'admin_list_bans', summary: 'List bans, newest first', tags },
        querystring: Type.Object({
          all: Type.Optional(
            Type.Enum(['true', 'false'], { description: 'Also those that are over.' }),
          ),
          limit: Type.Optional(
            Type.String({ pattern: '^[1-9][0-9]{0,4}$', description: '1000 by default.' }),
          ),
        }),
        response: { 200: Type.Object({ items: Type.Array(BanSchema) }), ...commonProblems },
      },
    },
    async ({ query }) => {
      const limit = Number(query.limit ?? 1_000)
      return { items: bans.list({ all: query.all === 'true', limit }).map(present) }
    },
  )
  app.get(
    '/bans/:peer',
    {
      schema: {
        ...{ operationId: 'admin_get_ban', summary: 'Get a ban and its evidence', tags },
        params: Params,
        response: { 200: BanSchema, ...commonProblems },
      },
    },
    async ({ params }) => present(found(params.peer)),
  )
  app.get(
    '/suspects',
    {
      schema: {
        ...{ operationId: 'admin_list_suspects', summary: 'List peers that many accuse', tags },
        description: 'Too few for a ban, or too few of standing: an operator may look, and ban.',
        response: { 200: Type.Object({ items: Type.Array(SuspectSchema) }), ...commonProblems },
      },
    },
    async () => ({
      items: reputation
        .suspects()
        .map(({ peer, accusers, weight, needed }) => ({ peer, accusers, weight, needed })),
    }),
  )
  app.post(
    '/bans',
    {
      schema: {
        ...{ operationId: 'admin_create_ban', summary: 'Ban a peer', tags },
        description: 'The list with it is durable and told to all peers when this answers.',
        body: Type.Object(
          {
            peer: PeerIdText,
            reason: Type.Optional(BanReasonSchema),
            note: Type.Optional(Note),
            evidence: Type.Optional(Type.String({ maxLength: 2_000 })),
            expires_in_s: Type.Optional(Seconds),
          },
          { additionalProperties: false },
        ),
        response: { 201: BanSchema, ...problems },
      },
    },
    async ({ body }, reply) => {
      const { peer, reason, note, evidence, expires_in_s: forS } = body
      const record = await bans.ban({
        ...{ peer: peer as PeerId, source: 'operator', by: 'operator' },
        ...(reason === undefined ? {} : { reason }),
        ...(note === undefined ? {} : { note }),
        ...(evidence === undefined
          ? {}
          : { evidence: [{ source: 'operator', by: 'operator', text: evidence }] }),
        ...(forS === undefined ? {} : { forMs: forS * 1_000 }),
      })
      return reply.code(201).send(present(record))
    },
  )
  app.delete(
    '/bans/:peer',
    {
      schema: {
        ...{ operationId: 'admin_delete_ban', summary: 'Lift a ban', tags },
        description: 'The record stays. For a while nothing automatic bans the peer again.',
        params: Params,
        querystring: Type.Object({
          note: Type.Optional(Note),
          shield_s: Type.Optional(
            Type.String({
              pattern: '^[0-9]{1,9}$',
              description: 'A week by default; 0: not at all.',
            }),
          ),
        }),
        response: { 200: BanSchema, ...commonProblems },
      },
    },
    async ({ params, query }) => {
      const shieldS = Number(query.shield_s ?? shieldSDefault)
      const record = await bans.unban({
        ...{ peer: params.peer as PeerId, by: 'operator', note: query.note ?? '' },
        ...(shieldS > 0 ? { shieldMs: shieldS * 1_000 } : {}),
      })
      return present(record)
    },
  )
  app.post(
    '/bans/:peer/appeal',
    {
      schema: {
        ...{
          operationId: 'admin_appeal_ban',
          summary: 'Note what the banned say for themselves',
          tags,
        },
        params: Params,
        body: Type.Object(
          { note: Type.String({ minLength: 1, maxLength: 2_000 }) },
          { additionalProperties: false },
        ),
        response: { 200: BanSchema, ...problems },
      },
    },
    async ({ params, body }) => present(await bans.appeal(params.peer as PeerId, body.note)),
  )
}

function present(record: BanRecord): Static<typeof BanSchema> {
  const { peer, reason, source, by, note, sinceMs, expiresMs, times } = record
  const { evidence, appeal, lifted, shieldedUntilMs } = record
  return {
    ...{ peer, reason, source, by, note, times, in_force: !lifted, since: timeOf(sinceMs) },
    ...(expiresMs === undefined ? {} : { expires: timeOf(expiresMs) }),
    evidence: evidence.map(({ atMs, ...rest }) => ({ at: timeOf(atMs), ...rest })),
    ...(appeal ? { appeal: { at: timeOf(appeal.atMs), note: appeal.note } } : {}),
    ...(lifted ? { lifted: { at: timeOf(lifted.atMs), by: lifted.by, note: lifted.note } } : {}),
    ...(shieldedUntilMs === undefined ? {} : { shielded_until: timeOf(shieldedUntilMs) }),
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
