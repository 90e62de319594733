/**
 * What the engine needs of whoever keeps containers apart from the home: rules in place before a
 * container starts, and proof of them after. An engine takes it as a component and never does
 * without; node/firewall is the real one.
 */

/** A container that runs, as its network sees it. */
export type IsolationTarget = Readonly<{
  /** A file that is the container's network namespace (`/run/…/netns/…`, `/proc/PID/ns/net`). */
  namespacePath: string
  /** Its bridge's interface on the host. */
  bridge: string
  /** The host's address on that bridge: the nearest thing that must not answer. */
  gateway: string
}>

export interface Isolation {
  /** Makes the rules what they must be; cheap when they are. @throws when it cannot. */
  ensure(options: { readonly signal: AbortSignal }): Promise<void>
  /** Tries, from inside, what must fail. @throws {PotluckError} what got through. */
  verify(target: IsolationTarget, options: { readonly signal: AbortSignal }): Promise<void>
}
