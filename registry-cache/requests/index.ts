/** What the coordinator asks of a cache, and what it is answered. */
export { createRequests, type Requests, type RequestsInit } from './requests.ts'
