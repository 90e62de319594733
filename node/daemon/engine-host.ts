/**
 * The engine that this node works with, and all that comes with it: an engine of the node's own is
 * started and watched, a chef's is used as it is, a simulated one needs nothing. With a real engine
 * come the firewall and the guard; they are never optional.
 */
import { join } from 'node:path'
import type { Clock } from '../../protocol/clock.ts'
import { PotluckError } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { NodeConfig } from '../config.ts'
import {
  createDockerEngine,
  createManagedEngine,
  createSimulatedEngine,
  defaultPool,
  type Engine,
  type ManagedEngine,
} from '../engine/index.ts'
import { createFirewall, createForwarding, createIptables, firewallTag } from '../firewall/index.ts'
import { createGuard, type Guard } from '../guard/index.ts'

export type EngineHostInit = Readonly<{
  config: NodeConfig
  node: PeerId
  /** On tmpfs. */
  runDir: string
  bootId: string
}>

export interface EngineHost {
  readonly engine: Engine
  readonly guard: Guard
  /** Looks after the engine and the rules; to be called now and then. */
  ensure(options: { readonly signal: AbortSignal }): Promise<void>
  /** Stops what was started, in order. Twice is harmless. */
  stop(): Promise<void>
}

/** There is nothing that a simulated container could outlive. */
const noGuard: Guard = { allow: async () => undefined, stop: async () => undefined }

/** Which engine `auto` means here. */
export function engineKind(
  kind: NodeConfig['engine']['kind'],
  user: { readonly platform: string; readonly uid: number | undefined },
): 'managed' | 'host' | 'simulated' {
  if (kind !== 'auto') return kind
  return user.platform === 'linux' && user.uid === 0 ? 'managed' : 'host'
}

/** Starts the engine. @throws {EngineError} @throws {FirewallError} it cannot be had. */
export async function startEngineHost(
  init: EngineHostInit,
  components: {
    readonly clock: Clock
    readonly logger: Logger
    readonly user: { readonly platform: string; readonly uid: number | undefined }
    readonly signal: AbortSignal
  },
): Promise<EngineHost> {
  const { config, runDir, node } = init
  const { clock, logger, user, signal } = components
  const kind = engineKind(config.engine.kind, user)
  if (kind === 'simulated') {
    const transfer = config.engine.imageTransfer === 'load' ? 'load' : 'pull'
    const engine = createSimulatedEngine({ pull: 'fetch', transfer }, { clock })
    return { engine, guard: noGuard, ensure: async () => undefined, stop: () => engine.close() }
  }
  if (user.uid !== 0) {
    throw new PotluckError(
      'ROOT_NEEDED',
      'a node needs root to keep containers away from the home (firewall rules); ' +
        'run it as root, or with --engine-kind simulated to only try the API',
    )
  }
  const managed = kind === 'managed' ? manage(init, logger) : undefined
  const socketPath = managed?.socketPath ?? config.engine.socket
  const firewall = createFirewall(
    {
      tag: firewallTag(node),
      ...(managed ? { masqueradePool: managed.pool.base } : {}),
    },
    {
      logger,
      iptables: createIptables(),
      forwarding: createForwarding({ notePath: join(runDir, 'forwarding') }),
    },
  )
  const isolation = { ensure: firewall.ensure, verify: firewall.verify }
  const guard = createGuard({ runDir, node, socketPath, bootId: init.bootId }, { clock, logger })
  const ensure: EngineHost['ensure'] = async (options) => {
    await managed?.ensure(options)
    await firewall.ensure(options)
  }
  const stopEngine = async (): Promise<void> => {
    await managed?.stop()
    await firewall.stop()
  }
  try {
    await ensure({ signal })
    const nofileMax = await managed?.nofileMax()
    const engine = createDockerEngine(
      {
        socketPath,
        node,
        managed: managed !== undefined,
        allowEnvOnHostEngine: config.engine.allowEnv,
        imageTransfer: config.engine.imageTransfer,
        dns: config.engine.dns,
        ...(nofileMax === undefined ? {} : { nofileMax }),
      },
      { logger, isolation },
    )
    return {
      engine,
      guard,
      ensure,
      async stop() {
        await guard.stop()
        await engine.close()
        await stopEngine()
      },
    }
  } catch (error) {
    // Told to stop halfway, perhaps: an engine outlives the daemon, so nobody else would end it.
    await stopEngine().catch((fault: unknown) => logger.warn({ error: fault }, 'not all stopped'))
    throw error
  }
}

function manage({ config, runDir }: EngineHostInit, logger: Logger): ManagedEngine {
  return createManagedEngine(
    {
      dataDir: config.dataDir,
      runDir,
      pool: { ...defaultPool, base: config.engine.pool },
    },
    { logger },
  )
}
