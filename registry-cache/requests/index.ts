/** What the coordinator asks of a cache, and what it is answered. */
export { faultOf } from './fault.ts'
export { createRequests, type Requests, type RequestsInit } from './requests.ts'
