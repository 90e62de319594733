/**
 * The chef's hand on a running node: Unix sockets in its data folder, for whoever may write there.
 * One request a connection, one line of JSON each way.
 */
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { describeError, PotluckError } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'

/** What can be asked on one socket. */
export type LocalTopic<Q extends TSchema, A extends TSchema> = Readonly<{
  /** Of the socket in the data folder: `limits` is `limits.sock`. */
  name: string
  request: Q
  answer: A
}>

const lineBytesMax = 8_192
const waitMs = 5_000

/** No node is running there, or it does not answer. */
export class NodeNotThereError extends PotluckError {
  constructor(dataDir: string, cause: unknown) {
    super(
      'NODE_NOT_THERE',
      `no node answers in ${dataDir}; is one running there (--data-dir), and may you write to it?`,
      { cause },
    )
  }
}

/** The node heard the request and will not do it. */
export class NodeRefusedError extends PotluckError {
  constructor(why: string) {
    super('NODE_REFUSED', `the node refuses: ${why}`)
  }
}

type Reply = Readonly<{ ok: unknown }> | Readonly<{ error: string }>

/** Answers until the returned function is called. A folder that takes no socket costs this alone. */
export async function serveLocal<Q extends TSchema, A extends TSchema>(
  topic: LocalTopic<Q, A>,
  {
    dataDir,
    answer,
    logger,
  }: Readonly<{
    dataDir: string
    answer: (request: Static<Q>) => Static<A> | Promise<Static<A>>
    logger: Logger
  }>,
): Promise<() => Promise<void>> {
  const path = socketOf(dataDir, topic.name)
  const requests = Compile(topic.request)
  const reply = async (line: string): Promise<Reply> => {
    const request: unknown = JSON.parse(line)
    if (!requests.Check(request)) throw new Error(`this is no request of ${topic.name}`)
    return { ok: await answer(request as Static<Q>) }
  }
  const server = createServer((socket) => {
    socket.setTimeout(waitMs, () => socket.destroy())
    void readLine(socket)
      .then(reply)
      .catch((error: unknown): Reply => ({ error: describeError(error) }))
      .then((text) => socket.end(`${JSON.stringify(text)}\n`))
  })
  server.maxConnections = 4
  try {
    await rm(path, { force: true })
    const listening = once(server, 'listening')
    server.listen(path)
    await listening
    await chmod(path, 0o600)
  } catch (error) {
    logger.warn({ path, error }, 'a command of the node will not work: no socket could be made')
  }
  return async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    await closed
  }
}

/** Asks the node whose data lie in `dataDir`. @throws {NodeNotThereError} @throws {NodeRefusedError} */
export async function askLocal<Q extends TSchema, A extends TSchema>(
  topic: LocalTopic<Q, A>,
  dataDir: string,
  request: Static<Q>,
): Promise<Static<A>> {
  const reply = await exchange(socketOf(dataDir, topic.name), request).catch((cause: unknown) => {
    throw new NodeNotThereError(dataDir, cause)
  })
  if (typeof reply.error === 'string') throw new NodeRefusedError(reply.error)
  if (!Compile(topic.answer).Check(reply.ok)) {
    throw new NodeNotThereError(dataDir, new Error('the answer is of another version'))
  }
  return reply.ok as Static<A>
}

async function exchange(path: string, request: unknown): Promise<Record<string, unknown>> {
  const socket = createConnection(path)
  socket.setTimeout(waitMs, () => socket.destroy(new Error(`no answer in ${waitMs} ms`)))
  try {
    await once(socket, 'connect')
    socket.write(`${JSON.stringify(request)}\n`)
    return JSON.parse(await readLine(socket)) as Record<string, unknown>
  } finally {
    socket.destroy()
  }
}

function socketOf(dataDir: string, name: string): string {
  return join(dataDir, `${name}.sock`)
}

async function readLine(socket: Socket): Promise<string> {
  let text = ''
  for await (const data of socket.iterator({ destroyOnReturn: false })) {
    text += String(data)
    const end = text.indexOf('\n')
    if (end >= 0) return text.slice(0, end)
    if (text.length > lineBytesMax) throw new Error('a line is too long')
  }
  throw new Error('the other side hung up')
}
