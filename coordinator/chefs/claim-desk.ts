/** Takes nodes' claims from their streams, one at a time each, and answers. Codes are never logged. */
import type { ClaimAnswer } from '../../protocol/control/index.ts'
import { errorCode } from '../../protocol/errors.ts'
import type { PeerId } from '../../protocol/ids.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Chefs } from './chefs.ts'
import { ClaimRefusedError } from './errors.ts'

export type ClaimDeskComponents = Readonly<{
  chefs: Pick<Chefs, 'claim'>
  answer: (node: PeerId, answer: ClaimAnswer) => void
  /** The node has another chef now. */
  onBound: (node: PeerId) => void
  logger: Logger
}>

/** Returns at once. A claim of a node whose last one is still being written is left unanswered. */
export type ClaimDesk = (node: PeerId, code: string, household: string) => void

export function createClaimDesk({
  chefs,
  answer,
  onBound,
  logger,
}: ClaimDeskComponents): ClaimDesk {
  const underWay = new Set<PeerId>()

  const handle = async (node: PeerId, code: string, household: string): Promise<ClaimAnswer> => {
    try {
      const { name } = await chefs.claim(node, code, household)
      logger.info({ node, chef: name, household }, 'a node belongs to a chef')
      onBound(node)
      return { type: 'claim-answer', chef: name }
    } catch (error) {
      if (error instanceof ClaimRefusedError) {
        logger.warn({ node, household, code: error.code }, 'a claim was refused')
        const refusal = { code: error.code, message: error.message }
        return { type: 'claim-answer', refusal }
      }
      logger.error({ node, error }, 'a claim could not be written')
      const message = 'the coordinator could not write it down; the node asks again'
      return { type: 'claim-answer', refusal: { code: errorCode(error) ?? 'INTERNAL', message } }
    }
  }
  return (node, code, household) => {
    if (underWay.has(node)) return
    underWay.add(node)
    void handle(node, code, household)
      .then((said) => answer(node, said))
      .finally(() => underWay.delete(node))
  }
}
