/** The chef's commands to a running node, over Unix sockets in its data folder. */
export {
  askLocal,
  type LocalTopic,
  serveLocal,
} from './local-socket.ts'
