/** What goes to this node's own engine: an allocation's image in plain text, and where it pulls it. */
export { openEndpoint, type PullEndpoint } from './endpoint.ts'
export { openPlainImage, type PlainImage, type PlainImageInit } from './plain-image.ts'
