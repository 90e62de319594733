/** The network under attack: the chaos tests' processes, with settings that an attack needs. */
import { readFile, writeFile } from 'node:fs/promises'
import Docker from 'dockerode'
import { parse, stringify, type TomlTable } from 'smol-toml'
import { insideNamespace } from '../../scripts/street/run-command.ts'
import type { Member } from '../chaos/member.ts'
import { type ChaosInit, type ChaosNetwork, startChaosNetwork } from '../chaos/network.ts'
import { type Api, createApi } from './api.ts'

export type Settings = Record<string, unknown>
export type Target = ChaosNetwork &
  Readonly<{
    api: Api
    /** Stops a process, changes its settings, and starts it again. */
    reconfigure(member: Member, change: (settings: Settings) => void): Promise<void>
    /** `kill -9`, and up again. */
    revive(member: Member): Promise<void>
    folderOf(member: Member): string
    /** Of a node's own engine. */
    engineOf(node: Member): Docker
    /** A command in a node's network namespace. */
    insideNode(node: Member, command: readonly string[]): readonly string[]
  }>

const stopMs = 30_000
const readyMs = 60_000

export async function startTarget(init: ChaosInit): Promise<Target> {
  const network = await startChaosNetwork(init)
  const { run, facts } = network
  const up = async (member: Member): Promise<void> => {
    member.start()
    await member.ready(AbortSignal.timeout(readyMs))
  }
  const folderOf = (member: Member): string => `${run.path}/${member.name}`
  const more = {
    api: createApi(facts),
    async reconfigure(member: Member, change: (settings: Settings) => void): Promise<void> {
      const file = `${run.path}/${member.name}.toml`
      const settings: Settings = parse(await readFile(file, 'utf8'))
      change(settings)
      await member.stop(stopMs)
      await writeFile(file, stringify(settings as TomlTable))
      await up(member)
    },
    async revive(member: Member): Promise<void> {
      await member.kill()
      await up(member)
    },
    folderOf,
    engineOf(node: Member): Docker {
      return new Docker({ socketPath: `${folderOf(node)}/run/engine/docker.sock`, timeout: 20_000 })
    },
    insideNode: (node: Member, command: readonly string[]) =>
      insideNamespace(`/run/netns/${run.name}-${node.name}`, command),
  }
  // Not spread: its registry is a getter, which throws where there is none.
  return Object.assign(Object.create(network) as ChaosNetwork, more)
}
