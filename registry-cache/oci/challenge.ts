/**
 * Reads `WWW-Authenticate`. Sources: RFC 9110 section 11.6.1; distribution-spec's token
 * authentication (`Bearer realm="…",service="…",scope="…"`).
 */
export type Challenge =
  | Readonly<{ scheme: 'basic' }>
  | Readonly<{
      scheme: 'bearer'
      realm: string
      service: string | undefined
      scope: string | undefined
    }>

const HEADER_LENGTH_MAX = 4096
/** A scheme, or a `name=value` with the value quoted or bare; commas and blanks between. */
const PART = /([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][A-Za-z0-9_-]*)/g

/**
 * The challenge to answer: Bearer before Basic, as a registry that offers both prefers tokens.
 * Undefined for headers that hold neither.
 */
export function parseChallenge(
  header: string | readonly string[] | undefined,
): Challenge | undefined {
  const text = (typeof header === 'string' ? [header] : (header ?? [])).join(', ')
  const challenges = readChallenges(text.slice(0, HEADER_LENGTH_MAX))
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  const realm = bearer?.parameters.get('realm')
  if (bearer && realm) {
    const { parameters } = bearer
    return {
      scheme: 'bearer',
      realm,
      service: parameters.get('service'),
      scope: parameters.get('scope'),
    }
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined
}

function readChallenges(
  text: string,
): readonly Readonly<{ scheme: string; parameters: ReadonlyMap<string, string> }>[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  for (const [, name, quoted, bare, scheme] of text.matchAll(PART)) {
    if (scheme) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    else if (name) {
      const value = quoted === undefined ? (bare ?? '') : quoted.replace(/\\(.)/g, '$1')
      challenges.at(-1)?.parameters.set(name.toLowerCase(), value)
    }
  }
  return challenges
}
