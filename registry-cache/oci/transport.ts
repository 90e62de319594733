/**
 * One exchange with a registry, its token realm or where either redirects to.
 *
 * Without the rules here a redirect would carry a tenant's password to another host, a `Location`
 * could take a request from HTTPS to HTTP, and a server that never answers would hold a pull for
 * ever. Where connections may go at all is the dispatcher's to say, for each of them.
 */
import { isIP } from 'node:net'
import { type Dispatcher, request } from 'undici'
import { parseAddressRanges } from '../../protocol/address/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import { ImageSourceError, type ImageSourceErrorCode } from './errors.ts'

export type TransportInit = Readonly<{
  /** `host`, `host:port` or, for literal addresses, CIDR: spoken to over HTTP. All else is HTTPS. */
  insecureRegistries?: readonly string[]
  /** How long to wait for the headers of a response. */
  headersMs?: number
  /** How long a body may bring nothing. */
  stallMs?: number
  redirectsMax?: number
}>

export type Exchange = Readonly<{
  method: 'GET' | 'HEAD'
  url: URL
  headers: Readonly<Record<string, string>>
  /** Sent to the origin of `url` and to no other. */
  authorization: string | undefined
  signal: AbortSignal
}>

export type Answer = Readonly<{
  status: number
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Dispatcher.ResponseData['body']
  /** The host that answered, where a redirect led to another origin. */
  redirectedTo: string | undefined
}>

export interface Transport {
  /** The origin of a registry's API: HTTPS, or HTTP where the operator says so. */
  origin(host: string): URL
  /**
   * Sends and follows redirects. The caller reads or dumps the body of what comes back.
   * @throws {ImageSourceError} `REGISTRY_UNREACHABLE` or `REGISTRY_ERROR`.
   * @throws {AddressRefusedError} an address that the operator does not allow.
   */
  send(exchange: Exchange): Promise<Answer>
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308]
/** A body that nobody wants is read this far to keep its connection, then cut. */
const DUMP_BYTES_MAX = 16 * 1024

export function createTransport(
  {
    insecureRegistries = [],
    headersMs = 30_000,
    stallMs = 60_000,
    redirectsMax = 5,
  }: TransportInit,
  { dispatcher }: { readonly dispatcher: Dispatcher },
): Transport {
  const isInsecure = insecureMatcher(insecureRegistries)

  async function sendOnce({ method, url, headers, signal }: Exchange, authorization?: string) {
    try {
      return await request(url, {
        method,
        dispatcher,
        signal,
        headersTimeout: headersMs,
        bodyTimeout: stallMs,
        headers: {
          'user-agent': 'potluck',
          'accept-encoding': 'identity', // ranges and digests are of the blob itself
          ...headers,
          ...(authorization !== undefined && { authorization }),
        },
      })
    } catch (error) {
      throw networkFault(error, url.host, signal)
    }
  }

  return {
    origin: (host) =>
      new URL(`${isInsecure(new URL(`http://${host}`)) ? 'http' : 'https'}://${host}`),
    async send(exchange) {
      let { url, authorization } = exchange
      for (let hops = 0; ; hops += 1) {
        const response = await sendOnce({ ...exchange, url }, authorization)
        const location = response.headers.location
        if (!REDIRECTS.includes(response.statusCode) || typeof location !== 'string') {
          return {
            status: response.statusCode,
            headers: response.headers,
            body: response.body,
            redirectedTo: url.origin === exchange.url.origin ? undefined : url.host,
          }
        }
        await dump(response.body)
        if (hops === redirectsMax)
          throw redirectFault(url.host, `redirects more than ${redirectsMax} times`)
        const next = nextUrl(location, url, isInsecure)
        // Dropped for good: a second redirect back must not bring it where the first one leads.
        if (next.origin !== url.origin) authorization = undefined
        url = next
      }
    },
  }
}

/** Ends a response that nobody reads, and leaves its connection usable where that is cheap. */
export async function dump(body: Dispatcher.ResponseData['body']): Promise<void> {
  try {
    await body.dump({ limit: DUMP_BYTES_MAX })
  } catch {
    body.destroy() // what broke while being thrown away is of no interest
  }
}

/**
 * What went wrong below HTTP, as one of ours; errors of ours and the caller's abort stay themselves.
 * The URL's query is left out: signed redirects carry their secret there.
 */
export function networkFault(error: unknown, host: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  const code = errorCode(error)
  if (error instanceof ImageSourceError || code === undefined || code === 'ADDRESS_REFUSED') {
    return error // without a code it is no fault of the network, but a bug
  }
  const notTls = code === 'EPROTO' || code.startsWith('ERR_SSL')
  const untrusted = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)
  const why = notTls
    ? `does not speak TLS (${code}). Only registries that the operator lists as insecure are spoken to without`
    : untrusted
      ? `shows a certificate that is not trusted (${code}). Give it one of a public authority`
      : `cannot be reached (${code}). Check its name and port, and that it is up`
  return new ImageSourceError('REGISTRY_UNREACHABLE', `registry ${host} ${why}`, {
    fields: { host, reason: code },
    transient: !notTls && !untrusted && code !== 'ADDRESS_UNRESOLVED',
  })
}

function nextUrl(location: string, from: URL, isInsecure: (url: URL) => boolean): URL {
  const next = URL.parse(location, from.href)
  if (!next) throw redirectFault(from.host, 'redirects to no valid address')
  const secure = next.protocol === 'https:'
  if (!secure && !(next.protocol === 'http:' && isInsecure(next))) {
    const why = `redirects to ${next.host || 'no host'} without TLS`
    throw redirectFault(from.host, why, 'REGISTRY_INSECURE')
  }
  next.username = ''
  next.password = ''
  next.hash = ''
  return next
}

function redirectFault(
  host: string,
  why: string,
  code: ImageSourceErrorCode = 'REGISTRY_ERROR',
): ImageSourceError {
  return new ImageSourceError(code, `registry ${host} ${why}`, { fields: { host } })
}

function insecureMatcher(insecure: readonly string[]): (url: URL) => boolean {
  const ranges = insecure.filter((entry) => entry.includes('/'))
  const addresses = parseAddressRanges(ranges, 'the insecure registries')
  const hosts = new Set(insecure.filter((entry) => !entry.includes('/')))
  return ({ host, hostname }) => {
    const bare = hostname.replace(/^\[|\]$/g, '')
    return hosts.has(host) || hosts.has(hostname) || (isIP(bare) !== 0 && addresses.has(bare))
  }
}
