import { createMemoryStore } from './index.ts'
import { storeConformance } from './store.conformance.ts'

storeConformance('memory', async () => createMemoryStore())
