/**
 * Whether this coordinator may order at all. Shown its own signature above what its store knows, it
 * runs on a store that has gone back (a backup put in place without a new term); shown a certificate
 * of a later term, it is deposed. Either way its next orders would contradict others that are obeyed,
 * so it stops, says so, and stays so over restarts until the operator raises the term.
 */
import Type, { type Static } from 'typebox'
import { PotluckError } from '../../protocol/errors.ts'
import type { Term } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import { collection, type Store } from '../../protocol/store/index.ts'
import { TermSchema, TextSchema, TimeMsSchema } from '../../protocol/wire/index.ts'

const DoubtSchema = Type.Object({
  term: TermSchema,
  kind: Type.Union([Type.Literal('gone-back'), Type.Literal('deposed')]),
  /** What was shown, and by whom. */
  evidence: TextSchema(512),
  sinceMs: TimeMsSchema,
})
export type Doubt = Readonly<Static<typeof DoubtSchema>>

/** Writes are refused: nothing would come of them. */
export class NotInForceError extends PotluckError {
  constructor({ kind }: Doubt) {
    super(
      'COORDINATOR_NOT_IN_FORCE',
      kind === 'deposed'
        ? 'another coordinator was certified for this network; nothing is changed here any more'
        : 'this coordinator’s store is older than its own orders; its operator must restore it ' +
            'under a new term before anything can be changed',
    )
  }
}

export interface Authority {
  /** Why it may not order; undefined: it may. */
  readonly doubt: Doubt | undefined
  /** Stops ordering from now on; the first reason stays. */
  lose(kind: Doubt['kind'], evidence: string): void
  /** Resolves when what is known is on disk. */
  kept(): Promise<void>
}

/** Takes up a doubt of this term; one of an earlier term is over. */
export async function openAuthority(
  { term }: { readonly term: Term },
  components: Readonly<{
    store: Store
    nowMs: () => number
    /** The loop should look: nothing more is to be ordered. */
    onLost: () => void
    logger: Logger
  }>,
): Promise<Authority> {
  const { store, nowMs, onLost, logger } = components
  const doubts = collection(store, 'authority', DoubtSchema)
  const known = await doubts.get('doubt')
  let doubt: Doubt | undefined = known?.term === term ? known : undefined
  let writing: Promise<void> = Promise.resolve()
  const say = ({ kind, evidence }: Doubt): void => {
    logger.error(
      { kind, evidence, term },
      'this coordinator orders nothing any more: raise the term with `potluck network term`',
    )
  }
  if (doubt) say(doubt)
  return {
    get doubt() {
      return doubt
    },
    lose(kind, evidence) {
      if (doubt) return
      const found: Doubt = { term, kind, evidence: evidence.slice(0, 512), sinceMs: nowMs() }
      doubt = found
      say(found)
      writing = doubts
        .put('doubt', found)
        .catch((error: unknown) => logger.error({ error }, 'a doubt could not be put on record'))
      onLost()
    },
    kept: () => writing,
  }
}
