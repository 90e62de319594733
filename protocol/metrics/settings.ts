/** The section `metrics` of a process's settings; the same words in each. */
import Type, { type Static } from 'typebox'
import { port } from '../config/index.ts'

/**
 * The section's schema.
 * @param init the default port, unlike those of the other processes: all may run on one machine
 */
export function metricsSettings(init: { readonly port: number }) {
  return Type.Object({
    enabled: Type.Boolean({ description: 'show Prometheus what happens here', default: true }),
    host: Type.String({
      description: 'address on which /metrics is answered; only this machine reads 127.0.0.1',
      default: '127.0.0.1',
      minLength: 1,
      maxLength: 255,
    }),
    port: port({ description: 'port of /metrics; 0: any that is free', default: init.port }),
    names: Type.Array(
      Type.String({ description: 'a host name', pattern: '^[0-9A-Za-z.-]{1,253}$' }),
      {
        description: 'host names under which it is asked for, beside localhost and addresses',
        default: [],
      },
    ),
  })
}
export type MetricsSettings = Static<ReturnType<typeof metricsSettings>>
