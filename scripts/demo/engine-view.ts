/**
 * A look into a node's own engine, past the node: what Docker itself says runs there. Evidence that
 * does not come from who is to be judged.
 */
import { Agent } from 'node:http'
import Docker, { type DockerOptions } from 'dockerode'
import { logLines } from '../../node/engine/docker-logs.ts'

export type ContainerSight = Readonly<{
  id: string
  state: string
  slot: string
  epoch: number
  instance: string
}>

export interface EngineView {
  /** All, stopped ones too. */
  containers(): Promise<readonly ContainerSight[]>
  /** Ids of all images. */
  images(): Promise<readonly string[]>
  /** What a container has written so far. */
  output(id: string): Promise<readonly string[]>
  /** Names of its environment variables with their values. */
  environment(id: string): Promise<readonly string[]>
}

export function createEngineView(socketPath: string): EngineView {
  const agent = new Agent({ keepAlive: false })
  // dockerode's types do not know `agent`, its modem does.
  const init: DockerOptions & { readonly agent: Agent } = { socketPath, agent, timeout: 20_000 }
  const docker = new Docker(init)
  return {
    async containers() {
      const found = await docker.listContainers({ all: true })
      return found.map(({ Id, State, Labels }) => ({
        id: Id,
        state: State,
        slot: Labels['potluck.slot'] ?? '',
        epoch: Number(Labels['potluck.epoch'] ?? 0),
        instance: Labels['potluck.instance'] ?? '',
      }))
    },
    async images() {
      return (await docker.listImages({ all: true })).map(({ Id }) => Id)
    },
    async output(id) {
      const log = await docker.getContainer(id).logs({ stdout: true, stderr: true, follow: false })
      return logLines(log)
    },
    async environment(id) {
      const { Config } = await docker.getContainer(id).inspect()
      return Config.Env ?? []
    },
  }
}
