/** Which stream may have a lane: what knows the connection's number of it tells so here. */
import type { Stream } from '@libp2p/interface'
import type { ByteStream } from '../wire/index.ts'
import type { Lanes } from './lanes.ts'

const places = new WeakMap<object, { readonly lanes: Lanes; readonly number: number }>()

/** `stream` is the connection's stream of that number, on both ends. */
export function placeStream(stream: Stream, lanes: Lanes, number: number): void {
  lanes.place(stream, number)
  places.set(stream, { lanes, number })
}

/** The lane of a stream, for which both ends' protocol must say that they use it; once. */
export function laneOf(stream: Stream): ByteStream | undefined {
  const place = places.get(stream)
  places.delete(stream)
  return place?.lanes.open(stream, place.number)
}
