/** Ingest: an image out of its registry into an encrypted bundle, every blob read once. */
export { WrongBlobError } from './errors.ts'
export {
  createIngester,
  type Ingester,
  type IngesterComponents,
  type IngesterInit,
  type IngestProgress,
  type IngestRequest,
  type IngestResult,
} from './ingester.ts'
export { createYoungCollector } from './young-garbage.ts'
