/** The loopback endpoint: what this node's own engine pulls an allocation's image from. */
export { type EndpointInit, openEndpoint, type PullEndpoint } from './endpoint.ts'
