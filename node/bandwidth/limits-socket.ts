/**
 * The chef's hand on a running node: a Unix socket in its data folder, for whoever may write there.
 * One request a connection, one line of JSON each way.
 */
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { describeError, PotluckError } from '../../protocol/errors.ts'
import type { Logger } from '../../protocol/log/index.ts'
import type { Bandwidth } from './bandwidth.ts'
import { leastBitsPerS } from './schedule.ts'

const BitsSchema = Type.Integer({ minimum: leastBitsPerS })
const LimitsSchema = Type.Object(
  { uploadBitsPerS: Type.Optional(BitsSchema), downloadBitsPerS: Type.Optional(BitsSchema) },
  { additionalProperties: false },
)
const RequestSchema = Type.Object(
  {
    /** Absent: only asks. Empty: ends an earlier wish. */
    limits: Type.Optional(LimitsSchema),
    forMs: Type.Integer({ minimum: 0, maximum: 31 * 86_400_000 }),
  },
  { additionalProperties: false },
)
const AnswerSchema = Type.Object({
  /** What the chef chose, in force now; absent: by default. */
  chosen: LimitsSchema,
  /** What the swarm may send now; absent: no limit. */
  uploadBitsPerS: Type.Optional(Type.Number()),
  error: Type.Optional(Type.String()),
})
export type LimitsRequest = Static<typeof RequestSchema>
export type LimitsAnswer = Static<typeof AnswerSchema>

const requests = Compile(RequestSchema)
const answers = Compile(AnswerSchema)
const lineBytesMax = 4_096
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

function socketOf(dataDir: string): string {
  return join(dataDir, 'limits.sock')
}

/** Answers until the returned function is called. A folder that takes no socket costs this alone. */
export async function serveLimits(
  dataDir: string,
  {
    bandwidth,
    logger,
  }: { bandwidth: Pick<Bandwidth, 'hold' | 'chosen' | 'limits'>; logger: Logger },
): Promise<() => Promise<void>> {
  const path = socketOf(dataDir)
  const answer = (line: string): LimitsAnswer => {
    const request: unknown = JSON.parse(line)
    if (!requests.Check(request)) throw new Error('this is no wish of limits')
    if (request.limits) bandwidth.hold(request.limits, request.forMs)
    const { uploadBytesPerS } = bandwidth.limits()
    return {
      chosen: bandwidth.chosen(),
      ...(uploadBytesPerS === undefined ? {} : { uploadBitsPerS: uploadBytesPerS * 8 }),
    }
  }
  const server = createServer((socket) => {
    socket.setTimeout(waitMs, () => socket.destroy())
    void readLine(socket)
      .then(answer)
      .catch((error: unknown) => ({ chosen: {}, error: describeError(error) }))
      .then((reply) => socket.end(`${JSON.stringify(reply)}\n`))
  })
  server.maxConnections = 4
  try {
    await rm(path, { force: true })
    const listening = once(server, 'listening')
    server.listen(path)
    await listening
    await chmod(path, 0o600)
  } catch (error) {
    logger.warn({ path, error }, 'limits cannot be changed by command: no socket could be made')
  }
  return async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    await closed
  }
}

/** Asks the node whose data lie in `dataDir`. @throws {NodeNotThereError} */
export async function askLimits(dataDir: string, request: LimitsRequest): Promise<LimitsAnswer> {
  const socket = createConnection(socketOf(dataDir))
  socket.setTimeout(waitMs, () => socket.destroy(new Error(`no answer in ${waitMs} ms`)))
  try {
    await once(socket, 'connect')
    socket.write(`${JSON.stringify(request)}\n`)
    const reply: unknown = JSON.parse(await readLine(socket))
    if (!answers.Check(reply)) throw new Error('the answer is of another version')
    if (reply.error) throw new Error(reply.error)
    return reply
  } catch (cause) {
    throw new NodeNotThereError(dataDir, cause)
  } finally {
    socket.destroy()
  }
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
