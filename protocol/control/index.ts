/** Control: messages between a peer and the coordinator, and the peer's end of the stream. */
export {
  type ControlHandlers,
  type ControlLink,
  type ControlLinkInit,
  ControlRefusedError,
  createControlLink,
} from './control-link.ts'
export { type CoordinatorTime, createCoordinatorTime } from './coordinator-time.ts'
export * from './messages.ts'
