/**
 * The network file: what a peer must know before it trusts anyone. It pins the root key alone; the
 * certificate in it says who coordinates now and is only a start (a newer one outranks it).
 * It holds no secret and may be handed to anyone who is to join.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { describeError, PotluckError } from '../errors.ts'
import type { NetworkId } from '../ids.ts'
import { openTermCertificate } from '../orders/index.ts'
import { MultiaddrSchema, type Signed } from '../wire/index.ts'

const HexSchema = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${bytes * 2}}$` })

const NetworkFileSchema = Type.Object(
  {
    version: Type.Literal(1),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    network: HexSchema(16),
    /** Ed25519, 32 bytes in hex. */
    rootKey: HexSchema(32),
    /** The newest term certificate when the file was written: payload and signature in base64. */
    certificate: Type.Object({ payload: Type.String(), signature: Type.String() }),
    /** Where the coordinator is dialled; the peer id follows from the certificate. */
    coordinatorAddrs: Type.Array(MultiaddrSchema, { minItems: 1, maxItems: 16 }),
    /**
     * Prefixes within which each address counts as a household of its own (a company's LAN, a
     * testbed); elsewhere a household is a public IPv4 address or an IPv6 /64.
     */
    householdPerAddress: Type.Optional(Type.Array(Type.String(), { maxItems: 64 })),
    /** Countries of private networks, by prefix: `{"10.1.0.0/16": "de"}`. */
    countries: Type.Optional(
      Type.Record(Type.String(), Type.String({ pattern: '^[a-z]{2}$' }), { maxProperties: 1_024 }),
    ),
  },
  { additionalProperties: false },
)
type NetworkFileJson = Static<typeof NetworkFileSchema>

export type Network = Readonly<{
  name: string
  network: NetworkId
  rootKey: Uint8Array
  certificate: Signed
  coordinatorAddrs: readonly string[]
  householdPerAddress: readonly string[]
  countries: Readonly<Record<string, string>>
}>

/** A network file that is missing, malformed or not signed by the key it pins. */
export class NetworkFileError extends PotluckError {
  constructor(path: string, reason: string, cause?: unknown) {
    super('NETWORK_FILE_INVALID', `network file ${path}: ${reason}`, { cause, fields: { path } })
  }
}

/** A network's id: the first 16 bytes of the SHA-256 of its root key, in hex. */
export function networkIdOf(rootKey: Uint8Array): NetworkId {
  return createHash('sha256').update(rootKey).digest('hex').slice(0, 32) as NetworkId
}

const validator = Compile(NetworkFileSchema)

/** Parses and verifies a network file's text. @throws {NetworkFileError} */
export function parseNetworkFile(text: string, path: string): Network {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new NetworkFileError(path, 'is not JSON; make one with `potluck network create`', cause)
  }
  if (!validator.Check(json)) {
    const [first] = validator.Errors(json)
    throw new NetworkFileError(path, `${first?.instancePath || '/'} ${first?.message}`)
  }
  const rootKey = new Uint8Array(Buffer.from(json.rootKey, 'hex'))
  const network = networkIdOf(rootKey)
  if (network !== json.network) {
    throw new NetworkFileError(path, `network is ${json.network}, its root key makes ${network}`)
  }
  for (const prefix of json.householdPerAddress ?? []) {
    if (!isIP(prefix.split('/')[0] ?? '')) {
      throw new NetworkFileError(path, `householdPerAddress: ${prefix} is not an address/length`)
    }
  }
  for (const prefix of Object.keys(json.countries ?? {})) {
    if (!isIP(prefix.split('/')[0] ?? '')) {
      throw new NetworkFileError(path, `countries: ${prefix} is not an address/length`)
    }
  }
  const certificate = {
    payload: new Uint8Array(Buffer.from(json.certificate.payload, 'base64')),
    signature: new Uint8Array(Buffer.from(json.certificate.signature, 'base64')),
  }
  try {
    openTermCertificate(certificate, { network, rootKey })
  } catch (cause) {
    throw new NetworkFileError(path, `certificate: ${describeError(cause)}`, cause)
  }
  return {
    name: json.name,
    network,
    rootKey,
    certificate,
    coordinatorAddrs: json.coordinatorAddrs,
    householdPerAddress: json.householdPerAddress ?? [],
    countries: json.countries ?? {},
  }
}

/** Reads a network file. @throws {NetworkFileError} */
export async function readNetworkFile(path: string): Promise<Network> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new NetworkFileError(path, 'cannot be read; copy it from who runs the network', cause)
  }
  return parseNetworkFile(text, path)
}

/** The text of a network file. */
export function formatNetworkFile(network: Network): string {
  const json: NetworkFileJson = {
    version: 1,
    name: network.name,
    network: network.network,
    rootKey: Buffer.from(network.rootKey).toString('hex'),
    certificate: {
      payload: Buffer.from(network.certificate.payload).toString('base64'),
      signature: Buffer.from(network.certificate.signature).toString('base64'),
    },
    coordinatorAddrs: [...network.coordinatorAddrs],
    householdPerAddress: [...network.householdPerAddress],
    ...(Object.keys(network.countries).length > 0 ? { countries: { ...network.countries } } : {}),
  }
  return `${JSON.stringify(json, null, 2)}\n`
}
