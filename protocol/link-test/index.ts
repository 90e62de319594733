/** How fast a node's line is, measured between the node and a cache, by both. */
export {
  type LinkRate,
  type LinkTestComponents,
  LinkTestRefusedError,
  measureLink,
} from './asker.ts'
export { createLinkTests, type LinkTests, type LinkTestsComponents } from './responder.ts'
export { linkTestProtocol } from './wire.ts'
