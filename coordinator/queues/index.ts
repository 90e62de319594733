/** Queues and their jobs: what tenants put in and may look at; handing jobs out comes on top. */
export { type JobsComponents, type JobsInit, openJobs } from './jobs.ts'
export { createQueues, type QueuesComponents, type QueuesInit } from './queues.ts'
export type {
  Job,
  JobHead,
  JobInput,
  JobPage,
  Jobs,
  PageAsked,
  QueueChange,
  QueueInput,
  QueueRecord,
  Queues,
} from './types.ts'
