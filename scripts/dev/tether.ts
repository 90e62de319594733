/**
 * Loaded by `--import` into every process of a development network: when the pipe at its stdin
 * closes, who started it is gone, even by `kill -9`, and it stops as on SIGTERM. Without it a
 * killed `potluck dev` would leave a whole network running.
 */
process.stdin.once('close', () => process.kill(process.pid, 'SIGTERM'))
process.stdin.on('error', () => {})
process.stdin.resume()
// It must not keep alive what has nothing else to do.
process.stdin.unref()
