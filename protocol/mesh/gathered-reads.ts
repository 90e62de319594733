/**
 * Reads a busy socket many packets at a time. What comes over a home's line comes packet by packet,
 * and each one by itself costs a call to the kernel, a buffer, and a walk through libp2p: for a
 * chunk of 64 KiB 46 times, which was most of the CPU that a download took. So after a read that
 * was part of a stream of them the kernel keeps what comes for some milliseconds. A message alone
 * (a request, a heartbeat) is read at once.
 * What comes faster than a line of a few hundred Mbit/s is not waited for.
 * In the midst of a record nothing can be done before its end, so a home with ten senders, each of
 * them slow, lets the kernel keep it for longer: by the clock alone it read 4 kB at a time.
 * Measured, 20 MB at 40 Mbit/s: 460 reads a MB and 35 s of CPU a GB by itself, 38 and 21 with it.
 */
import type { Socket } from 'node:net'

/** What a read should bring: more makes the next one no cheaper by the byte. */
const wantedBytes = 32 * 1024
/** A read of less is a message, or the end of one. */
const packetBytes = 1_000
/** Reads that follow one another sooner are a stream of them. */
const streamMs = 50
/** What brings as much sooner fills its reads by itself: a wait would be most of its time. */
const fastMs = 1
const waitMinMs = 4
/** What a request may be late behind others' chunks: an eighth of a slow line's 64 KiB. */
const waitMaxMs = 25

/** In the midst of a record, should its sender pause. */
const recordWaitMaxMs = 250
const rateSpanMs = 100
const rateLeastMs = 20
const rateSilenceMs = 1_000
/** Whoever waits until just when the rest should be there wakes up late half of the time. */
const earlyShare = 0.9

export type ReadOptions = Readonly<{
  /** Of a record that is of no use before its end, what has not come; 0: none is known of. */
  missingBytes?: () => number
  now?: () => number
}>

/** Node's own part of a socket. `reading`: Node wants what comes. */
type Handle = { reading?: boolean; readStart(): unknown; readStop(): unknown }

/** Has the kernel gather what comes on `socket` while it is busy. */
export function readGathered(
  socket: Socket,
  { missingBytes = () => 0, now = () => performance.now() }: ReadOptions = {},
): void {
  let lastMs = Number.NEGATIVE_INFINITY
  const rate = createRate()
  let wasInRecord = false
  socket.on('data', (bytes: Uint8Array) => {
    const nowMs = now()
    const sinceMs = nowMs - lastMs
    lastMs = nowMs
    // Bursts with pauses between them look slow from one read to the next.
    const bytesPerMs = rate.came(bytes.length, nowMs)
    if (bytesPerMs * waitMinMs >= wantedBytes) return
    const missing = Math.min(missingBytes(), wantedBytes)
    const inRecord = missing > packetBytes
    const isGoingOn = inRecord && wasInRecord
    wasInRecord = inRecord
    if (bytes.length < packetBytes || sinceMs > (isGoingOn ? 2 * recordWaitMaxMs : streamMs)) return
    if (bytes.length >= wantedBytes && !inRecord) return
    if (wantedBytes * sinceMs < bytes.length * fastMs) return
    const handle = handleOf(socket)
    if (!handle?.reading) return
    handle.readStop()
    const msPerByte = Math.min(Math.max(sinceMs, 1) / bytes.length, 1 / bytesPerMs)
    // Of a record that has just begun the pause before it says nothing.
    const waitMs = isGoingOn
      ? Math.min(recordWaitMaxMs, earlyShare * missing * msPerByte)
      : Math.min(waitMaxMs, wantedBytes * msPerByte)
    setTimeout(
      () => {
        const again = handleOf(socket)
        // Node may want no more meanwhile: it starts it again itself then.
        if (again?.reading) again.readStart()
      },
      Math.max(waitMinMs, waitMs),
    )
  })
}

/** Bytes a millisecond: the larger of the last span's and this one's so far; 0 after silence. */
function createRate() {
  let [startMs, bytes, last] = [Number.NEGATIVE_INFINITY, 0, 0]
  return {
    came(count: number, nowMs: number): number {
      const sinceMs = nowMs - startMs
      if (sinceMs >= rateSpanMs) {
        last = sinceMs < rateSilenceMs ? bytes / sinceMs : 0
        startMs = nowMs
        bytes = 0
      }
      bytes += count
      const ms = nowMs - startMs
      return ms < rateLeastMs ? last : Math.max(last, bytes / ms)
    },
  }
}

function handleOf(socket: Socket): Handle | undefined {
  const handle = (socket as unknown as { _handle?: Partial<Handle> | null })._handle
  return handle?.readStart && handle.readStop ? (handle as Handle) : undefined
}
