/**
 * Gives the kernel what libp2p sends in one call, and so in full packets. libp2p 3 writes each piece
 * of a message to the socket by itself (a length of 2 bytes, a header of 12, the data, a tag of 16),
 * with Nagle off: a call and a packet each. Small messages took two to four packets instead of one.
 */
import type { Socket } from 'node:net'

/** libp2p's TCP connection, where it sends. */
export type DataSender = {
  sendData(data: Iterable<Uint8Array>): { sentBytes: number; canSendMore: boolean }
}

/** What `connection` sends at once goes to its socket at once. */
export function writeWhole(connection: DataSender, socket: Socket): void {
  connection.sendData = (data) => {
    let sentBytes = 0
    socket.cork()
    for (const piece of data) {
      sentBytes += piece.byteLength
      socket.write(piece)
    }
    socket.uncork()
    // A 'drain' follows whenever the socket kept so much.
    return { sentBytes, canSendMore: socket.writableLength < socket.writableHighWaterMark }
  }
}
