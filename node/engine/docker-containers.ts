/**
 * Docker's containers, one call each. A container without this node's label is as good as absent
 * here: no function below can reach one, whatever id it is given.
 */
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import {
  type InspectAnswer,
  observe,
  parseContainers,
  parseDiskUsage,
  parseInspect,
  parseWaited,
} from './docker-answers.ts'
import { type CallOptions, type DockerApi, statusOf } from './docker-api.ts'
import { logLines } from './docker-logs.ts'
import type { ContainerUsage } from './engine.ts'
import { EngineError } from './errors.ts'
import { instanceLabel, nodeLabel } from './labels.ts'

/** `waitExit` lasts as long as the container: longer than any timer of Node's can. */
const waitTimeoutMs = 2 ** 31 - 1
const logLinesMax = 10_000

export type DockerContainers = ReturnType<typeof createDockerContainers>

/** Single containers of this node; a foreign one is as good as absent. */
export function createDockerContainers(api: DockerApi, node: PeerId) {
  const { docker, call } = api
  const isOurs = (answer: InspectAnswer): boolean => answer.Config.Labels?.[nodeLabel] === node

  async function inspectIfThere(id: string, options: CallOptions, size = false) {
    try {
      const answer = await api.get(`/containers/${id}/json`, { size: String(size) }, options)
      const parsed = parseInspect(answer)
      return isOurs(parsed) ? parsed : undefined
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw error
    }
  }

  async function inspect(id: string, options: CallOptions, size = false): Promise<InspectAnswer> {
    const answer = await inspectIfThere(id, options, size)
    if (answer) return answer
    const message = `this node has no container ${id.slice(0, 12)}`
    throw new EngineError('CONTAINER_GONE', message)
  }

  async function ids(label: string, options: CallOptions): Promise<readonly string[]> {
    const filters = { label: [`${nodeLabel}=${node}`, label] }
    const answer = await call('list containers', options, (abortSignal) =>
      docker.listContainers({ all: true, filters, abortSignal }),
    )
    return parseContainers(answer).map((container) => container.Id)
  }

  async function volumesBytes(answer: InspectAnswer, options: CallOptions): Promise<number> {
    const names = new Set((answer.Mounts ?? []).flatMap((it) => (it.Name ? [it.Name] : [])))
    if (names.size === 0) return 0
    const usage = await api.get('/system/df', {}, options)
    return (parseDiskUsage(usage).Volumes ?? [])
      .filter((volume) => names.has(volume.Name))
      .reduce((sum, volume) => sum + Math.max(0, volume.UsageData?.Size ?? 0), 0)
  }

  return {
    inspect,
    inspectIfThere,
    async list(options: CallOptions): Promise<readonly InspectAnswer[]> {
      const all = await ids(instanceLabel, options)
      const answers = await Promise.all(all.map((id) => inspectIfThere(id, options)))
      return answers.filter(
        (answer) => answer !== undefined && observe(answer) !== undefined,
      ) as readonly InspectAnswer[]
    },
    async find(instance: InstanceId, options: CallOptions) {
      const [id] = await ids(`${instanceLabel}=${instance}`, options)
      return id === undefined ? undefined : inspectIfThere(id, options)
    },
    async start(id: string, options: CallOptions): Promise<void> {
      try {
        await call('start container', options, (abortSignal) =>
          docker.getContainer(id).start({ abortSignal }),
        )
      } catch (error) {
        if (statusOf(error) === 304) return // It runs already.
        // 400: "exec: not found", "permission denied"; 127 and 126 in a shell's words.
        if (!(error instanceof EngineError) || statusOf(error) !== 400) throw error
        throw new EngineError('CONTAINER_START_FAILED', error.message, { fields: error.fields })
      }
    },
    async stop(answer: InspectAnswer, graceMs: number, options: CallOptions): Promise<void> {
      if (!answer.State.Running || graceMs <= 0) return
      const t = Math.ceil(graceMs / 1000)
      const waiting = { ...options, timeoutMs: graceMs + 30_000 }
      try {
        await call('stop container', waiting, (abortSignal) =>
          docker.getContainer(answer.Id).stop({ t, abortSignal }),
        )
      } catch (error) {
        if (![304, 404].includes(statusOf(error) ?? 0)) throw error
      }
    },
    async remove(id: string, options: CallOptions): Promise<void> {
      try {
        await call('remove container', options, (abortSignal) =>
          docker.getContainer(id).remove({ force: true, v: true, abortSignal }),
        )
      } catch (error) {
        // 409: "removal is already in progress" by another call of ours.
        if (![404, 409].includes(statusOf(error) ?? 0)) throw error
      }
    },
    async waitExit(id: string, options: CallOptions): Promise<{ readonly exitCode: number }> {
      await inspect(id, options)
      const waiting = { ...options, timeoutMs: waitTimeoutMs }
      const answer = await call('wait for container', waiting, (abortSignal) =>
        docker.getContainer(id).wait({ abortSignal }),
      )
      return { exitCode: parseWaited(answer).StatusCode }
    },
    async usage(id: string, options: CallOptions): Promise<ContainerUsage> {
      const answer = await inspect(id, options, true)
      return { storageBytes: (answer.SizeRw ?? 0) + (await volumesBytes(answer, options)) }
    },
    async logTail(id: string, lines: number, options: CallOptions): Promise<readonly string[]> {
      await inspect(id, options)
      const tail = Math.min(lines, logLinesMax)
      const log = await call('read log', options, (abortSignal) =>
        docker.getContainer(id).logs({ stdout: true, stderr: true, tail, abortSignal }),
      )
      return logLines(Buffer.isBuffer(log) ? log : Buffer.from(log)).slice(-lines)
    },
  }
}
