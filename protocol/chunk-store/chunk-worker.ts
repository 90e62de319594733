/**
 * The thread of chunk-thread.ts. It imports next to nothing, so that it is there in some 30 ms.
 */
import { parentPort } from 'node:worker_threads'
import { type ChunkJob, doChunkJob } from './chunk-jobs.ts'

parentPort?.on('message', (job: ChunkJob) => {
  const reply = doChunkJob(job)
  parentPort?.postMessage(reply, reply.buffer ? [reply.buffer] : [])
})
