/** Inference endpoints: the catalogue of queues that every organization may use. */
export { createEndpoints, type Endpoint, type Endpoints, readEndpoints } from './catalogue.ts'
export { EndpointUnavailableError } from './errors.ts'
