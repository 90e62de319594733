/** Hands the newest head to all peers, seldom and only when there is a new one: idleness costs nothing. */
import type { Clock } from '../../protocol/clock.ts'
import type { DownMessage } from '../../protocol/control/index.ts'
import type { Signed } from '../../protocol/wire/index.ts'
import type { AuditLog } from './audit-log.ts'

/** How much of the past could be written anew unseen, against 300 bytes a peer. */
const publishMs = 60_000

/** Runs until the returned function is called; twice is harmless. */
export function startHeadPublisher({
  audit,
  sessions,
  clock,
}: Readonly<{
  audit: Pick<AuditLog, 'proof'>
  sessions: Readonly<{ broadcast(message: DownMessage): void }>
  clock: Pick<Clock, 'sleep'>
}>): () => void {
  const stopped = new AbortController()
  const { signal } = stopped
  let told: Signed | undefined
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(publishMs, { signal })
      const head = audit.proof?.head
      if (!head || head === told) continue
      told = head
      sessions.broadcast({ type: 'audit-head', head })
    }
  }
  run().catch(() => undefined) // only a stop ends it
  return () => stopped.abort()
}
