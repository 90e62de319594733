/**
 * dockerode, without what a node never asks of it: sessions with BuildKit and engines behind ssh
 * bring gRPC, protobufjs and ssh2, which it loads at once and which would be 8 MB of an idle home.
 * A call that needed one of them fails where it is made.
 */
import { createRequire, registerHooks } from 'node:module'
import type Docker from 'dockerode'

const unused = new Set(['@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'ssh2'])
/** Stands for them: a module of Node's own that is loaded anyway and has none of their names. */
const nothing = 'node:util'

/** dockerode's class. Only while it loads, its modules find nothing under those names. */
export const DockerClient = load()

function load(): typeof Docker {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      unused.has(specifier)
        ? { url: nothing, format: 'builtin', shortCircuit: true }
        : next(specifier, context),
  })
  try {
    return createRequire(import.meta.url)('dockerode') as typeof Docker
  } finally {
    hooks.deregister()
  }
}
