/** The chef's commands to a running node, over Unix sockets in its data folder. */
export {
  askLocal,
  type LocalTopic,
  NodeNotThereError,
  NodeRefusedError,
  serveLocal,
} from './local-socket.ts'
