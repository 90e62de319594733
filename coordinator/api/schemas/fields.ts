/** The small parts of the contract's schemas. `x-valid` says in words what a pattern means. */
import Type, { type Static, type TSchema } from 'typebox'
import { namePattern } from '../../tenants/index.ts'

/** `schema` or null, as JSON Schema's list of types: errors of unions tell nobody anything. */
export function orNull<S extends TSchema>(schema: S) {
  const { type } = schema as unknown as { readonly type: string }
  return Type.Unsafe<Static<S> | null>({ ...schema, type: [type, 'null'] })
}

export function oneOf<const T extends string>(...values: readonly T[]) {
  return Type.Unsafe<T>({ type: 'string', enum: values })
}

export function oneOfOrNull<const T extends string>(...values: readonly T[]) {
  return Type.Unsafe<T | null>({ type: ['string', 'null'], enum: [...values, null] })
}

/** The contract's `^.*$`: one line of text. */
export function lineOf(minLength: number, maxLength: number) {
  const valid = `one line of ${minLength} to ${maxLength} characters`
  return Type.String({ minLength, maxLength, pattern: '^.*$', 'x-valid': valid })
}

export const NameSchema = Type.String({
  pattern: namePattern,
  'x-valid':
    '2 to 63 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen',
})

export const DisplayNameSchema = Type.String({
  minLength: 2,
  maxLength: 63,
  pattern: '^[ ,-.0-9A-Za-z]+$',
  'x-valid': '2 to 63 letters, digits, spaces, commas, dots and hyphens',
})

export const UuidSchema = Type.String({
  pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  'x-valid': 'a UUID',
})

/** Pages of a list, from 1. */
export const PageQuery = Type.Object({
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647, default: 1 })),
  page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 25 })),
})

export const TimeSchema = Type.String({
  format: 'date-time',
  description: 'RFC 3339, UTC.',
  'x-valid': 'a date and time of RFC 3339, such as "2026-01-31T12:00:00Z"',
})
export const PrioritySchema = oneOfOrNull('high', 'medium', 'low', 'batch')
export const RestartPolicySchema = oneOf('always', 'on_failure', 'never')

/** Every code of ISO 3166-1 alpha-2 that the contract lists. */
const countries =
  'af al dz as ad ao ai aq ag ar am aw au at az bs bh bd bb by be bz bj bm bt bo bq ba bw bv br io bn bg bf bi cv kh cm ca ky cf td cl cn cx cc co km cd cg ck cr hr cu cw cy cz ci dk dj dm do ec eg sv gq er ee sz et fk fo fj fi fr gf pf tf ga gm ge de gh gi gr gl gd gp gu gt gg gn gw gy ht hm va hn hk hu is in id ir iq ie im il it jm jp je jo kz ke ki kp kr kw kg la lv lb ls lr ly li lt lu mo mg mw my mv ml mt mh mq mr mu yt mx fm md mc mn me ms ma mz mm na nr np nl nc nz ni ne ng nu nf mp no om pk pw ps pa pg py pe ph pn pl pt pr qa mk ro ru rw re bl sh kn lc mf pm vc ws sm st sa sn rs sc sl sg sx sk si sb so za gs ss es lk sd sr sj se ch sy tw tj tz th tl tg tk to tt tn tr tm tc tv ug ua ae gb um us uy uz vu ve vn vg vi wf eh ye zm zw ax'

export const CountryCodeSchema = Type.Unsafe<string>({
  type: 'string',
  enum: countries.split(' '),
  'x-valid': 'a country code of ISO 3166-1 in two lower-case letters, such as "us"',
})
