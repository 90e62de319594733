/** What a node's own Docker engine shows, past the node: evidence that comes from no part of ours. */
import { readdir, readFile } from 'node:fs/promises'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { Agent, request } from 'undici'
import { createManagedEngine } from '../../node/engine/index.ts'
import { silentLogger } from '../../protocol/log/index.ts'
import type { Run } from '../../scripts/dev/run.ts'
import { nodeFolders } from '../../scripts/network/index.ts'

export type ContainerSight = Readonly<{
  id: string
  state: string
  slot: string
  epoch: number
  instance: string
}>

export interface EngineSight {
  /** All of the engine's containers, stopped ones too, whoever made them. */
  containers(): Promise<readonly ContainerSight[]>
  images(): Promise<number>
  /** Of the guard's process; undefined when none runs. */
  guardPid(): Promise<number | undefined>
}

const containersSchema = Compile(
  Type.Array(
    Type.Object({
      Id: Type.String(),
      State: Type.String(),
      Labels: Type.Record(Type.String(), Type.String()),
    }),
  ),
)
const imagesSchema = Compile(Type.Array(Type.Object({ Id: Type.String() })))

export function createEngineSight(run: Run, node: string): EngineSight {
  const folders = nodeFolders(run, node)
  const { socketPath } = createManagedEngine(folders, { logger: silentLogger })
  const get = async (path: string): Promise<unknown> => {
    const dispatcher = new Agent({ connect: { socketPath } })
    try {
      const answer = await request(`http://docker${path}`, { dispatcher })
      return await answer.body.json()
    } finally {
      await dispatcher.destroy()
    }
  }
  return {
    async containers() {
      return containersSchema.Parse(await get('/containers/json?all=true')).map((it) => ({
        id: it.Id,
        state: it.State,
        slot: it.Labels['potluck.slot'] ?? '',
        epoch: Number(it.Labels['potluck.epoch'] ?? 0),
        instance: it.Labels['potluck.instance'] ?? '',
      }))
    },
    images: async () => imagesSchema.Parse(await get('/images/json?all=true')).length,
    async guardPid() {
      for (const entry of await readdir('/proc')) {
        if (!/^\d+$/.test(entry)) continue
        const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
        const words = line.split('\0')
        const isGuard = words.some((word) => word.endsWith('/guard-process.ts'))
        if (isGuard && words.includes(folders.runDir)) return Number(entry)
      }
      return undefined
    },
  }
}
