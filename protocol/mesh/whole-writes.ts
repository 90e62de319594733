/**
 * Gives the kernel what libp2p sends in one call, and so in full packets. libp2p 3 writes each piece
 * of a message to the socket by itself (a length of 2 bytes, a header of 12, the data, a tag of 16),
 * with Nagle off: a call and a packet each. Small messages took two to four packets instead of one.
 */
import type { Socket } from 'node:net'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'

/** libp2p's TCP connection, inside. */
type Inside = {
  socket?: Socket
  sendData?(data: Iterable<Uint8Array>): { sentBytes: number; canSendMore: boolean }
}

/** TCP whose connections write whole messages. */
export function tcpInWholeWrites(options: Parameters<typeof tcp>[0]) {
  const make = tcp(options)
  return (components: Parameters<typeof make>[0]): Transport => {
    const transport = make(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = (address, init) => dial(address, { ...init, upgrader: wholly(init.upgrader) })
    transport.createListener = (init) =>
      createListener({ ...init, upgrader: wholly(init.upgrader) })
    return transport
  }
}

function wholly(upgrader: Upgrader): Upgrader {
  const whole = Object.create(upgrader) as Upgrader
  whole.upgradeInbound = (connection, init) => upgrader.upgradeInbound(writeWhole(connection), init)
  whole.upgradeOutbound = (connection, init) =>
    upgrader.upgradeOutbound(writeWhole(connection), init)
  return whole
}

function writeWhole(connection: MultiaddrConnection): MultiaddrConnection {
  const inside = connection as unknown as Inside
  const { socket } = inside
  // Another libp2p than the one that is pinned: it works as it does by itself.
  if (!socket || !inside.sendData) return connection
  inside.sendData = (data) => {
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
  return connection
}
