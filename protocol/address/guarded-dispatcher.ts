/**
 * An undici dispatcher that connects only where the address policy allows.
 *
 * Checking a URL before the request is not enough: a name can answer with a public address when
 * asked and with 127.0.0.1 when connected to (DNS rebinding), and a redirect names a new host after
 * the check. So the check sits in the connector: each new connection, whichever URL, realm or
 * redirect it is for, resolves its name once, refuses if any answer is refused, and the socket gets
 * exactly the addresses that were checked.
 */
import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import {
  type AddressPolicy,
  type AddressPolicyInit,
  createAddressPolicy,
} from './address-policy.ts'
import { AddressUnresolvedError } from './errors.ts'

/** Every address of a host name, in text form. */
export type Resolve = (host: string) => Promise<readonly string[]>

export type GuardedDispatcherInit = AddressPolicyInit &
  Readonly<{
    /** How long resolving and connecting may take together. */
    connectMs?: number
    /** Connections to one origin at a time; further requests wait. */
    connectionsMax?: number
    /** How long an idle connection is kept for the next request. */
    keepAliveMs?: number
    /** PEM certificates to trust beside the system's, for an operator's own registry. */
    certificateAuthorities?: readonly string[]
  }>

export type GuardedDispatcherComponents = Readonly<{ resolve?: Resolve }>

/** The machine's own resolver (hosts file, DNS), all addresses. */
export const resolveBySystem: Resolve = (host) => {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
  systemLookup(host, { all: true }, (error, answers) => {
    if (error) reject(error)
    else resolve(answers.map(({ address }) => address))
  })
  return promise
}

/**
 * A dispatcher for `undici.request(url, { dispatcher })`. Requests to a refused address fail with
 * `ADDRESS_REFUSED` before a packet is sent; a name without an address with `ADDRESS_UNRESOLVED`.
 * It follows no redirect by itself. The caller closes it.
 *
 * @throws {AddressRangeError} for an `allow` that is no CIDR.
 */
export function createGuardedDispatcher(
  init: GuardedDispatcherInit = {},
  { resolve = resolveBySystem }: GuardedDispatcherComponents = {},
): Dispatcher {
  const policy = createAddressPolicy(init)
  const { connectMs = 10_000, connectionsMax = 8, keepAliveMs = 10_000 } = init
  const connectSocket = buildConnector({
    timeout: connectMs,
    lookup: guardedLookup(policy, resolve),
    allowH2: false, // one response a connection: a slow blob must not hold up its neighbours
    ...(init.certificateAuthorities && {
      ca: [...getCACertificates('default'), ...init.certificateAuthorities],
    }),
  } as buildConnector.BuildOptions)
  const connect: buildConnector.connector = (options, callback) => {
    // net.connect() asks no resolver for a literal address, so that one is checked here.
    const refusal = isIP(options.hostname) ? refusalOf(policy, options.hostname) : undefined
    if (refusal) {
      process.nextTick(callback, refusal, null)
      return
    }
    connectSocket(options, (...[error, socket]) => {
      const failure = error ?? refusalOfPeer(policy, socket)
      if (failure) socket?.destroy()
      if (failure) callback(failure, null)
      else if (socket) callback(null, socket)
    })
  }
  return new Agent({
    connect,
    connections: connectionsMax,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    allowH2: false,
  })
}

/** The `lookup` of net.connect(): what it answers was checked, and is what gets connected to. */
function guardedLookup(policy: AddressPolicy, resolve: Resolve): LookupFunction {
  return (host, options, callback) => {
    const answer = async (): Promise<{ address: string; family: number }[]> => {
      const addresses = await resolve(host)
      if (addresses.length === 0) throw new AddressUnresolvedError(host)
      for (const address of addresses) policy.check(host, address)
      return addresses.map((address) => ({ address, family: isIP(address) }))
    }
    answer().then(
      (answers) => {
        const [first] = answers
        if (options.all) callback(null, answers)
        else callback(null, first?.address ?? '', first?.family)
      },
      (error: Error) => callback(unresolved(error, host), ''),
    )
  }
}

function unresolved(error: Error, host: string): Error {
  const missing = 'code' in error && (error.code === 'ENOTFOUND' || error.code === 'ENODATA')
  return missing ? new AddressUnresolvedError(host) : error
}

function refusalOf(policy: AddressPolicy, address: string): Error | undefined {
  try {
    policy.check(address, address)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** A second lock behind the first: asks the socket where it ended up. */
function refusalOfPeer(policy: AddressPolicy, socket: Socket | null): Error | undefined {
  const address = socket?.remoteAddress
  // Undefined: closed already, and the request fails by itself.
  return address === undefined ? undefined : refusalOf(policy, address)
}
