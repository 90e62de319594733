/**
 * A bridge of its own for each instance: two tenants on one bridge could speak below every rule.
 * The interface's name begins with `plk`, which is what the firewall's rules go by, so a network
 * that this file did not make is never open, and one that it made is never unguarded.
 */
import { createHash } from 'node:crypto'
import type { InstanceId, PeerId } from '../../protocol/ids.ts'
import { containerName } from './create-options.ts'
import { parseNetworks } from './docker-answers.ts'
import { type CallOptions, type DockerApi, statusOf } from './docker-api.ts'
import { instanceLabel, networkLabels, nodeLabel } from './labels.ts'

/** `plk` and 10 hex digits: Linux takes 15 characters for an interface. */
export function bridgeName(instance: InstanceId): string {
  return `plk${createHash('sha256').update(instance).digest('hex').slice(0, 10)}`
}

export interface DockerNetworks {
  /** Makes the instance's network unless it is there; its name. */
  ensure(instance: InstanceId, options: CallOptions): Promise<string>
  /** Removes the instance's network. Idempotent. */
  remove(instance: InstanceId, options: CallOptions): Promise<void>
  /** Removes networks of this node for which `keep` says no: what a crash left behind. */
  sweep(keep: (instance: string) => boolean, options: CallOptions): Promise<void>
}

export function createDockerNetworks(api: DockerApi, node: PeerId): DockerNetworks {
  const { docker, call } = api

  async function ours(options: CallOptions) {
    const filters = { label: [`${nodeLabel}=${node}`] }
    const answer = await call('list networks', options, (abortSignal) =>
      docker.listNetworks({ filters, abortSignal }),
    )
    return parseNetworks(answer).filter((network) => network.Labels?.[nodeLabel] === node)
  }

  async function removeById(id: string, options: CallOptions): Promise<void> {
    try {
      await call('remove network', options, (abortSignal) =>
        docker.getNetwork(id).remove({ abortSignal }),
      )
    } catch (error) {
      if (statusOf(error) !== 404) throw error
    }
  }

  return {
    async ensure(instance, options) {
      const name = containerName(instance)
      // CheckDuplicate is only a hint, so look first: Docker allows two networks of one name.
      if ((await ours(options)).some((network) => network.Name === name)) return name
      const request = {
        Name: name,
        CheckDuplicate: true,
        Driver: 'bridge',
        Internal: false,
        Attachable: false,
        EnableIPv6: false,
        Labels: networkLabels(node, instance),
        Options: {
          'com.docker.network.bridge.name': bridgeName(instance),
          'com.docker.network.bridge.enable_icc': 'false',
        },
      }
      await call('create network', options, (abortSignal) =>
        docker.createNetwork({ ...request, abortSignal }),
      )
      return name
    },
    async remove(instance, options) {
      const found = (await ours(options)).filter((it) => it.Labels?.[instanceLabel] === instance)
      for (const network of found) await removeById(network.Id, options)
    },
    async sweep(keep, options) {
      const left = (await ours(options)).filter((it) => !keep(it.Labels?.[instanceLabel] ?? ''))
      for (const network of left) await removeById(network.Id, options)
    },
  }
}
