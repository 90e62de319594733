/** A TCP port that is free now. Another program may take it before its user does; then that fails. */
import { once } from 'node:events'
import { createServer } from 'node:net'

export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}
