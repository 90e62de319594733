/** Where an act that somebody may have to answer for is written down. The audit log implements it. */
export type AuditEntry = Readonly<{
  /** What was done: `ban`, `unban`, `security-report` … */
  act: string
  /** Who did it: `operator`, a peer's id, `coordinator`. */
  by: string
  /** What it was done to: a peer's or a group's id. */
  subject: string
  /** Plain facts; never a secret. */
  facts: Readonly<Record<string, string | number | boolean>>
}>

/** Resolves when the entry is durable. */
export type AuditSink = (entry: AuditEntry) => Promise<void>

/** For a coordinator without an audit log, and for tests. */
export const noAudit: AuditSink = async () => undefined

/** The audit log as a sink: what an act was done to is one of its facts there. */
export function sinkOf(log: {
  record(
    acts: readonly Readonly<{ kind: string; by: string; facts: AuditEntry['facts'] }>[],
  ): Promise<void>
}): AuditSink {
  return ({ act, by, subject, facts }) =>
    log.record([{ kind: act, by, facts: { subject, ...facts } }])
}
