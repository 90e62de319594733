/** Connections of the host, and how far the coordinator is. */
import type { Connection } from '@libp2p/interface'
import type { Mesh } from '../mesh/index.ts'
import type { HomeReach } from '../nat/index.ts'
import type { Series } from './series.ts'

/** A scrape waits no longer for the coordinator's echo. */
const pingMs = 1_000

export type MeshMetricsComponents = Readonly<{
  mesh: Mesh
  /** How the host fares where nobody can dial it. */
  reach: Pick<HomeReach, 'isPunched' | 'punches' | 'relayedBytes'>
  coordinator: () => Parameters<Mesh['getConnections']>[0]
}>

/** The host's connections and streams, what relays carry, and the way to the coordinator. */
export function defineMeshMetrics(series: Series, components: MeshMetricsComponents): void {
  const { mesh, reach, coordinator } = components
  series.gauge({
    name: 'connections',
    help: 'Open connections to peers.',
    labels: ['direction', 'path'],
    read() {
      const found = mesh.getConnections().map((connection) => ({
        direction: connection.direction,
        path: pathOf(connection, reach),
      }))
      return directions.flatMap((direction) =>
        paths.map((path) => ({
          labels: { direction, path },
          value: found.filter((it) => it.direction === direction && it.path === path).length,
        })),
      )
    },
  })
  series.counter({
    name: 'punches_total',
    help: 'Attempts to open a direct connection at once with a home behind NAT.',
    labels: ['result'],
    read: () =>
      Object.entries(reach.punches).map(([result, value]) => ({ labels: { result }, value })),
  })
  series.counter({
    name: 'relayed_bytes_total',
    help: 'Bytes through relays, both ways: carried for others, and said and heard by this peer.',
    labels: ['role'],
    read: () => [
      { labels: { role: 'relay' }, value: mesh.services.relay.relayedBytes },
      { labels: { role: 'end' }, value: reach.relayedBytes },
    ],
  })
  series.gauge({
    name: 'streams',
    help: 'Open streams on all connections.',
    read: () => mesh.getConnections().reduce((sum, { streams }) => sum + streams.length, 0),
  })
  series.gauge({
    name: 'coordinator_connected',
    help: '1 while there is a connection to the coordinator.',
    read: () => (mesh.getConnections(coordinator()).length > 0 ? 1 : 0),
  })
  series.gauge({
    name: 'coordinator_rtt_seconds',
    help: 'Round trip to the coordinator, measured by this scrape; absent when it does not answer.',
    async read() {
      const peer = coordinator()
      if (!peer || mesh.getConnections(peer).length === 0) return undefined
      const signal = AbortSignal.timeout(pingMs)
      const ms = await mesh.services.ping.ping(peer, { signal }).catch(() => undefined)
      return ms === undefined ? undefined : ms / 1_000
    },
  })
}

const directions = ['inbound', 'outbound'] as const
/** Shown at zero too: a series that comes and goes makes alerts that do not fire. */
const paths = ['direct', 'punched', 'relayed'] as const

function pathOf(
  connection: Connection,
  { isPunched }: Pick<HomeReach, 'isPunched'>,
): (typeof paths)[number] {
  if (connection.limits) return 'relayed'
  return isPunched(connection) ? 'punched' : 'direct'
}
