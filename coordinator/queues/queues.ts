/**
 * The service that owns queues: names within a project, and who may delete which. Queues are few and
 * all in memory; memory follows the disk.
 */
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { collection, type Store } from '../../protocol/store/index.ts'
import type { ProjectScope } from '../groups/index.ts'
import {
  QueueInUseError,
  QueueNameTakenError,
  QueueNotFoundError,
  QueueQuotaError,
} from './errors.ts'
import { createTurns } from './turns.ts'
import { type Jobs, type QueueRecord, QueueRecordSchema, type Queues } from './types.ts'

export type QueuesInit = Readonly<{
  /** Of one project: as many as the contract's list, which has no pages, may hold. */
  queuesMax?: number
}>

export type QueuesComponents = Readonly<{ store: Store; jobs: Jobs; wallNowMs?: () => number }>

/** Loads every queue that `store` holds, and ends the deletions that a crash cut short. */
export async function createQueues(
  { queuesMax = 100 }: QueuesInit,
  { store, jobs, wallNowMs = Date.now }: QueuesComponents,
): Promise<Queues> {
  const records = collection(store, 'queues', QueueRecordSchema)
  /** By project, then by name: requests ask for one, and lists for one project's. */
  const projects = new Map<string, Map<string, QueueRecord>>()
  const put = (queue: QueueRecord): void => {
    const own = projects.get(queue.projectId) ?? new Map<string, QueueRecord>()
    projects.set(queue.projectId, own.set(queue.name, queue))
  }
  const deleted: QueueRecord[] = []
  for await (const [, record] of records.entries()) {
    if (record.deletedMs === undefined) put(record)
    else deleted.push(record)
  }
  const inTurn = createTurns()
  /** Names on their way to the disk: taken all the same. */
  const pending = new Set<string>()
  /** Queues that go: nobody may begin to use them. */
  const going = new Set<string>()
  /** How many groups are being made for a queue. */
  const holds = new Map<string, number>()

  const placeOf = ({ projectId }: ProjectScope, name: string): string => `${projectId}/${name}`
  const find = (scope: ProjectScope, name: string): QueueRecord => {
    const found = projects.get(scope.projectId)?.get(name)
    if (!found || going.has(found.id)) throw new QueueNotFoundError(name, scope.project)
    return found
  }
  const remove = async (queue: QueueRecord): Promise<void> => {
    await jobs.drop(queue.id)
    await records.delete(queue.id)
  }
  for (const queue of deleted) await remove(queue)

  return {
    jobs,
    async create(scope, input) {
      const place = placeOf(scope, input.name)
      const own = projects.get(scope.projectId)
      if (pending.has(place) || own?.has(input.name)) {
        throw new QueueNameTakenError(input.name, scope.project)
      }
      const arriving = [...pending].filter((other) => other.startsWith(placeOf(scope, '')))
      if ((own?.size ?? 0) + arriving.length >= queuesMax) {
        throw new QueueQuotaError(scope.project, queuesMax)
      }
      pending.add(place)
      try {
        const atMs = wallNowMs()
        const { organization, organizationId, project, projectId } = scope
        const record: QueueRecord = {
          ...{ id: randomUUID(), organization, organizationId, project, projectId },
          ...{ ...input, createdMs: atMs, updatedMs: atMs },
        }
        await records.put(record.id, record)
        put(record)
        return record
      } finally {
        pending.delete(place)
      }
    },
    get: find,
    find(organization, project, name) {
      for (const own of projects.values()) {
        const found = own.get(name)
        if (found?.organization !== organization || found.project !== project) continue
        return going.has(found.id) ? undefined : found
      }
      return undefined
    },
    countIn: (projectId) => projects.get(projectId)?.size ?? 0,
    list: (scope) =>
      [...(projects.get(scope.projectId)?.values() ?? [])]
        .filter(({ id }) => !going.has(id))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    async update(scope, name, change) {
      return inTurn(find(scope, name).id, async () => {
        const queue = find(scope, name)
        const next: QueueRecord = { ...queue, ...change }
        if (isDeepStrictEqual(next, queue)) return queue
        const written = { ...next, updatedMs: wallNowMs() }
        await records.put(queue.id, written)
        put(written)
        return written
      })
    },
    async delete(scope, name, usedBy) {
      return inTurn(find(scope, name).id, async () => {
        const queue = find(scope, name)
        const users = usedBy()
        if (users.length > 0 || holds.has(queue.id)) throw new QueueInUseError(name, users)
        going.add(queue.id)
        try {
          await records.put(queue.id, { ...queue, deletedMs: wallNowMs() })
          projects.get(queue.projectId)?.delete(name)
        } finally {
          going.delete(queue.id)
        }
        await remove(queue)
      })
    },
    async hold(scope, name, work) {
      const { id } = find(scope, name)
      holds.set(id, (holds.get(id) ?? 0) + 1)
      try {
        return await work()
      } finally {
        const left = (holds.get(id) ?? 1) - 1
        if (left > 0) holds.set(id, left)
        else holds.delete(id)
      }
    },
  }
}
