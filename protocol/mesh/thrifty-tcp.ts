/**
 * libp2p's TCP connection from inside: what it does with its socket cannot be told it from outside.
 * What is found there is looked at before it is used; another libp2p or Node than those that are
 * pinned works as it does by itself.
 */
import type { Socket } from 'node:net'
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { missingBytesOn } from '../lanes/index.ts'
import { readGathered } from './gathered-reads.ts'
import { type DataSender, writeWhole } from './whole-writes.ts'

type Inside = Partial<DataSender> & { readonly socket?: Socket }

/** TCP that reads and writes no more often than it must. */
export function thriftyTcp(options: Parameters<typeof tcp>[0]) {
  const make = tcp(options)
  return (components: Parameters<typeof make>[0]): Transport => {
    const transport = make(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    transport.dial = (address, init) => dial(address, { ...init, upgrader: thrifty(init.upgrader) })
    transport.createListener = (init) =>
      createListener({ ...init, upgrader: thrifty(init.upgrader) })
    return transport
  }
}

function thrifty(upgrader: Upgrader): Upgrader {
  const changed = Object.create(upgrader) as Upgrader
  changed.upgradeInbound = (connection, init) => upgrader.upgradeInbound(spare(connection), init)
  changed.upgradeOutbound = (connection, init) => upgrader.upgradeOutbound(spare(connection), init)
  return changed
}

function spare(connection: MultiaddrConnection): MultiaddrConnection {
  const inside = connection as unknown as Inside
  const { socket } = inside
  if (!socket) return connection
  if (inside.sendData) writeWhole(inside as DataSender, socket)
  readGathered(socket, { missingBytes: () => missingBytesOn(connection) })
  return connection
}
