/**
 * Gets a bundle's descriptor from one joined sender at a time, and from another when one is slow,
 * gone or lying. Any holder has it, so whom to ask is drawn: a swarm's first seconds would
 * otherwise all be spent on the same home.
 */
import { describeError, errorCode } from '../errors.ts'
import type { BundleId, PeerId } from '../ids.ts'
import { DescriptorAssembly } from './descriptor-assembly.ts'
import type { MisbehaviourKind } from './peer-book.ts'
import type { Sender } from './sender.ts'

export type DescriptorFetchComponents = Readonly<{
  bundle: BundleId
  /** Those that may be asked now. */
  joined: () => readonly Sender[]
  /** Uniform in [0, 1). */
  random: () => number
  /** The whole has the right hash. */
  onWhole: (bytes: Uint8Array) => void
  blame: (peer: PeerId, kind: MisbehaviourKind, detail: string) => void
}>

/** The descriptor of one bundle on its way. */
export class DescriptorFetch {
  readonly #with: DescriptorFetchComponents
  /** Who was late in this round, and how many rounds there were. */
  readonly #late = new Set<PeerId>()
  #lateRounds = 0
  #assembly: DescriptorAssembly | undefined
  #whole = false

  constructor(components: DescriptorFetchComponents) {
    this.#with = components
  }

  /** Asks a sender if none is being asked, or another if that one is late. Call now and then. */
  pump(nowMs: number): void {
    if (this.#whole) return
    const joined = this.#with.joined()
    const before = this.#assembly
    const gone = before && joined.every(({ peer }) => peer !== before.peer)
    if (before && !gone && !before.isLate(nowMs)) return
    if (before && !gone) this.#late.add(before.peer)
    if (joined.length > 0 && joined.every(({ peer }) => this.#late.has(peer))) {
      this.#late.clear()
      this.#lateRounds += 1
    }
    const fresh = joined.filter(({ peer }) => !this.#late.has(peer))
    const from = fresh[Math.floor(this.#with.random() * fresh.length)]
    if (from) this.#ask(from, nowMs)
  }

  /** A piece came. */
  onPiece(sender: Sender, offset: number, body: Uint8Array, nowMs: number): void {
    const assembly = this.#assembly
    // It answers an earlier try, which was given up.
    if (!assembly || assembly.peer !== sender.peer || offset !== assembly.offset) return
    try {
      const whole = assembly.add(offset, body, nowMs)
      if (!whole) {
        sender.session?.requestDescriptor(this.#with.bundle, assembly.offset)
        return
      }
      this.#whole = true
      this.#assembly = undefined
      this.#with.onWhole(whole)
    } catch (error) {
      this.#assembly = undefined
      const wrong = errorCode(error) === 'WRONG_DESCRIPTOR'
      const kind = wrong ? 'wrong-descriptor' : 'malformed'
      this.#with.blame(sender.peer, kind, describeError(error))
    }
  }

  #ask({ peer, descriptorBytes: sizeBytes, session }: Sender, nowMs: number): void {
    const { bundle, blame } = this.#with
    const rounds = this.#lateRounds
    try {
      this.#assembly = new DescriptorAssembly({ bundle, peer, sizeBytes, nowMs, rounds })
      session?.requestDescriptor(bundle, 0)
    } catch (error) {
      this.#assembly = undefined
      blame(peer, 'malformed', describeError(error))
    }
  }
}
