/** Connections of the host, and how far the coordinator is. */
import type { Mesh } from '../mesh/index.ts'
import type { Series } from './series.ts'

/** A scrape waits no longer for the coordinator's echo. */
const pingMs = 1_000

export type MeshMetricsComponents = Readonly<{
  mesh: Mesh
  /** Absent in the coordinator itself. */
  coordinator?: () => Parameters<Mesh['getConnections']>[0]
}>

/** The host's connections and streams; of all but the coordinator, the way to it. */
export function defineMeshMetrics(series: Series, components: MeshMetricsComponents): void {
  const { mesh, coordinator } = components
  series.gauge({
    name: 'connections',
    help: 'Open connections to peers.',
    labels: ['direction', 'path'],
    read() {
      const counts = new Map(places.map((place) => [place, 0]))
      for (const { direction, limits } of mesh.getConnections()) {
        const place = places.find((it) => it.direction === direction && it.relayed === !!limits)
        if (place) counts.set(place, (counts.get(place) ?? 0) + 1)
      }
      return [...counts].map(([{ direction, relayed }, value]) => ({
        labels: { direction, path: relayed ? 'relayed' : 'direct' },
        value,
      }))
    },
  })
  series.gauge({
    name: 'streams',
    help: 'Open streams on all connections.',
    read: () => mesh.getConnections().reduce((sum, { streams }) => sum + streams.length, 0),
  })
  if (!coordinator) return
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

const places = [
  { direction: 'inbound', relayed: false },
  { direction: 'inbound', relayed: true },
  { direction: 'outbound', relayed: false },
  { direction: 'outbound', relayed: true },
] as const
