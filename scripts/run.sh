#!/bin/sh
# The door that npm scripts go through: does a command's set-up, then runs it under the clone's own
# Node 24, whatever `node` is in PATH. `npm run demo` is `sh scripts/run.sh demo`. The last command
# is exec'd, so signals reach the program and its exit status is ours; package.json says `exec sh …`
# for the same reason: npm sends a SIGTERM to its shell alone.
#
#   sh scripts/run.sh COMMAND [ARGUMENT…]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
command=${1:?usage: sh scripts/run.sh COMMAND [ARGUMENT...]}
shift

everything='--engine --registry --street --busybox --debian --skopeo --torrent --upnp'
needs=''
case "$command" in
  demo)
    case " $* " in
      *' --help '*) ;;
      *) needs='--engine --registry --street --debian' ;;
    esac
    ;;
  dev)
    # The simulated engine needs neither Docker nor a registry, nor root.
    case " $* " in
      *' --engine simulated '* | *' --engine=simulated '* | *' --help '*) ;;
      *) needs='--engine --registry --street --busybox' ;;
    esac
    ;;
  bench)
    case "${1:-} $* " in
      'swarm '*' --vs'*) needs='--registry --street --torrent' ;;
      'swarm '*) needs='--registry --street' ;;
      'idle '*) needs='--engine --street' ;;
    esac
    ;;
  test | test:e2e | test:long) needs=$everything ;;
esac

# shellcheck disable=SC2086 # one word a flag
sh "$here/setup.sh" $needs

cd "$root"
PATH="$root/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

# One of several steps: a signal to us ends the step, and with it the rest.
step() {
  "$@" &
  child=$!
  trap 'kill -TERM $child 2>/dev/null; wait $child; exit 143' TERM INT HUP
  wait $child
}
unit() {
  exec mocha '{protocol,node,coordinator,registry-cache,scripts,test}/**/*.test.ts' "$@"
}
e2e() {
  exec mocha --timeout 120000 'test/**/*.e2e.ts' "$@"
}

case "$command" in
  demo) exec node scripts/demo.ts "$@" ;;
  dev) exec node scripts/potluck.ts dev "$@" ;;
  potluck) exec scripts/bin/potluck "$@" ;;
  check) exec node scripts/check.ts "$@" ;;
  bench) exec node test/bench/main.ts "$@" ;;
  test:unit) unit "$@" ;;
  test:e2e) e2e "$@" ;;
  test:long) exec mocha --timeout 900000 'test/**/*.long.ts' "$@" ;;
  test)
    step node scripts/check.ts
    step unit "$@"
    step e2e "$@"
    ;;
  *)
    printf 'potluck: unknown command %s\n' "$command" >&2
    exit 2
    ;;
esac
