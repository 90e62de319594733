/**
 * The syntax of an image reference, checked when a group is created: a tenant should learn of a
 * typing error from the request, not minutes later from a registry. Grammar: distribution/reference
 * (https://github.com/distribution/reference), whose regular expressions these are.
 */
const alphanumeric = '[a-z0-9]+'
const separator = '(?:[._]|__|[-]+)'
const component = `${alphanumeric}(?:${separator}${alphanumeric})*`
const domainPart = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const ipv6 = '\\[[a-fA-F0-9:]+\\]'
const domain = `(?:${domainPart}(?:\\.${domainPart})*|${ipv6})(?::[0-9]{1,5})?`
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'

const domainForm = new RegExp(`^${domain}$`)
const pathForm = new RegExp(`^${component}(?:/${component})*$`)
const tagForm = new RegExp(`^${tag}$`)
const digestForm = /^sha256:[0-9a-f]{64}$/

/** The longest path that registries take (distribution/reference, NameTotalLengthMax). */
const pathLengthMax = 255

/** What is wrong with `reference`, as the end of "image: …", or undefined when nothing is. */
export function imageReferenceProblem(reference: string): string | undefined {
  const [beforeDigest = '', digest, ...more] = reference.split('@')
  if (more.length > 0) return 'has more than one @'
  if (digest !== undefined && !digestForm.test(digest)) {
    return 'has a digest that is not sha256: and 64 lower-case hex digits'
  }
  const slash = beforeDigest.lastIndexOf('/')
  const colon = beforeDigest.indexOf(':', slash + 1)
  const name = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon)
  if (colon >= 0 && !tagForm.test(beforeDigest.slice(colon + 1))) {
    return 'has a tag that is not 1 to 128 letters, digits, "_", "." or "-"'
  }
  return nameProblem(name)
}

function nameProblem(name: string): string | undefined {
  if (name.includes('://')) return 'must be without a scheme: write registry/name:tag'
  const first = name.split('/', 1)[0] ?? ''
  // As Docker tells `localhost:5000/app` from `library/app`.
  const hasDomain =
    name.includes('/') && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first))
  if (hasDomain && !domainForm.test(first)) return 'has a registry that is no host name'
  const port = hasDomain ? /:([0-9]+)$/.exec(first)?.[1] : undefined
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    return 'has a registry port that is not 1 to 65535'
  }
  const path = hasDomain ? name.slice(first.length + 1) : name
  if (path.length > pathLengthMax) return `has a name longer than ${pathLengthMax} characters`
  if (!pathForm.test(path)) {
    return 'must be [registry/]name[:tag][@sha256:digest], the name in lower-case letters, digits, ".", "_", "-" and "/"'
  }
  return undefined
}
