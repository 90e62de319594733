/**
 * Parts of a group that this version checks, keeps and shows, and does not act on yet: probes,
 * gateway, queue, schedules, log sinks. A client that sets them gets the contract's answers, and
 * `potluck.not_in_effect` tells the rest.
 */
import Type, { type Static } from 'typebox'
import { lineOf, NameSchema, oneOf, oneOfOrNull, orNull } from './fields.ts'

const port = Type.Integer({ minimum: 1, maximum: 65_535 })
const line = lineOf(1, 1_000)

const ExecSchema = Type.Object({
  command: Type.Array(lineOf(1, 2_048), { minItems: 1, maxItems: 100 }),
})
const GrpcSchema = Type.Object({ port, service: lineOf(0, 1_024) })
const HttpSchema = Type.Object({
  headers: Type.Array(Type.Object({ name: lineOf(1, 256), value: lineOf(1, 1_024) }), {
    maxItems: 50,
  }),
  path: lineOf(1, 2_048),
  port,
  scheme: oneOfOrNull('http', 'https'),
})
const TcpSchema = Type.Object({ port })

/** Times in seconds; the defaults are the contract's, and differ by probe. */
function probe(
  defaults: Readonly<{ period: number; timeout: number; success: number; failure: number }>,
) {
  const whole = (minimum: number, maximum: number, value: number) =>
    Type.Optional(Type.Integer({ minimum, maximum, default: value }))
  return Type.Object({
    exec: Type.Optional(orNull(ExecSchema)),
    grpc: Type.Optional(orNull(GrpcSchema)),
    http: Type.Optional(orNull(HttpSchema)),
    tcp: Type.Optional(orNull(TcpSchema)),
    initial_delay_seconds: whole(0, 1_200, 0),
    period_seconds: whole(1, 120, defaults.period),
    timeout_seconds: whole(1, 60, defaults.timeout),
    success_threshold: whole(1, 10, defaults.success),
    failure_threshold: whole(1, 20, defaults.failure),
  })
}

/** As it is answered: with every default filled in, and no action that is null. */
function shownProbe<S extends ReturnType<typeof probe>>(schema: S) {
  const { exec: _e, grpc: _g, http: _h, tcp: _t, ...times } = schema.properties
  return Type.Unsafe<Static<S>>({
    ...schema,
    properties: { exec: ExecSchema, grpc: GrpcSchema, http: HttpSchema, tcp: TcpSchema, ...times },
    required: Object.keys(times),
  })
}

export const LivenessProbeSchema = probe({ period: 10, timeout: 30, success: 1, failure: 3 })
export const ReadinessProbeSchema = probe({ period: 1, timeout: 1, success: 1, failure: 3 })
export const StartupProbeSchema = probe({ period: 3, timeout: 10, success: 2, failure: 15 })
export const ShownLivenessProbeSchema = shownProbe(LivenessProbeSchema)
export const ShownReadinessProbeSchema = shownProbe(ReadinessProbeSchema)
export const ShownStartupProbeSchema = shownProbe(StartupProbeSchema)

const timeout = Type.Integer({ minimum: 1, maximum: 100_000, default: 100_000 })
export const NetworkingSchema = Type.Object({
  auth: Type.Boolean(),
  client_request_timeout: Type.Optional(timeout),
  load_balancer: Type.Optional(
    Type.Unsafe<string>({
      ...oneOf('round_robin', 'least_number_of_connections'),
      default: 'round_robin',
    }),
  ),
  port,
  protocol: oneOf('http'),
  server_response_timeout: Type.Optional(timeout),
  single_connection_limit: Type.Optional(Type.Boolean({ default: false })),
})
/** Where a group answers, once the gateway does: its own name, and every default filled in. */
const shownNetworking = {
  ...NetworkingSchema.properties,
  dns: Type.String({
    ...{ minLength: 1, maxLength: 253 },
    pattern: '^([a-z][a-z0-9-]{0,61}[a-z0-9]\\.)*[a-z][a-z0-9-]{0,61}[a-z0-9]$',
  }),
}
const shownNetworkingSchema = Type.Object(shownNetworking)
export const ShownNetworkingSchema = Type.Unsafe<Static<typeof shownNetworkingSchema>>({
  ...shownNetworkingSchema,
  required: Object.keys(shownNetworking),
})
export const NetworkingPatchSchema = Type.Object({ port: Type.Optional(orNull(port)) })

export const QueueAutoscalerSchema = Type.Object({
  desired_queue_length: Type.Integer({ minimum: 1, maximum: 100 }),
  max_downscale_per_minute: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  max_replicas: Type.Integer({ minimum: 1, maximum: 500 }),
  max_upscale_per_minute: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  min_replicas: Type.Integer({ minimum: 0, maximum: 100 }),
  polling_period: Type.Optional(Type.Integer({ minimum: 15, maximum: 1_800 })),
})
export const QueueConnectionSchema = Type.Object({
  path: lineOf(1, 1_024),
  port,
  queue_name: NameSchema,
})
export const ScalingActionsSchema = Type.Array(
  Type.Object({
    replicas: Type.Integer({ minimum: 0, maximum: 500 }),
    schedule: Type.String({
      maxLength: 200,
      pattern: '^([0-9A-Za-z*/,-]+)([\\t ]+[0-9A-Za-z*/,-]+){4}$',
      'x-valid': 'a cron schedule of five fields',
    }),
  }),
  { maxItems: 100 },
)

const pairs = Type.Array(Type.Object({ name: line, value: line }), { maxItems: 1_000 })
export const LoggingSchema = Type.Object({
  axiom: Type.Optional(orNull(Type.Object({ api_token: line, dataset: line, host: line }))),
  datadog: Type.Optional(orNull(Type.Object({ api_key: line, host: line, tags: orNull(pairs) }))),
  http: Type.Optional(
    orNull(
      Type.Object({
        compression: oneOf('none', 'gzip'),
        format: oneOf('json', 'json_lines'),
        headers: Type.Optional(
          Type.Unsafe<Static<typeof pairs> | null>({ ...orNull(pairs), default: [] }),
        ),
        host: line,
        password: Type.Optional(orNull(line)),
        path: Type.Optional(orNull(line)),
        port,
        user: Type.Optional(orNull(line)),
      }),
    ),
  ),
  new_relic: Type.Optional(orNull(Type.Object({ host: line, ingestion_key: line }))),
  splunk: Type.Optional(orNull(Type.Object({ host: line, token: line }))),
  tcp: Type.Optional(orNull(Type.Object({ host: line, port }))),
})
