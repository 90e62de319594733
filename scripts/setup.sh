#!/bin/sh
# Brings a fresh clone to the point where Node 24 can run Potluck: npm's packages, the Node 24
# binary, and, for the parts named by flags, Debian packages. It runs before any JavaScript of ours
# can, so it is POSIX sh. Without it `npm run demo` would start under the machine's Node 20, on
# which libp2p 3 fails with the misleading "Encryption failed".
#
#   sh scripts/setup.sh [--engine] [--registry] [--street] [--busybox] [--debian] [--skopeo] [--torrent] [--upnp]
#
#   --engine    what starts a Docker engine: dockerd, containerd, runc, iptables
#   --registry  Debian's docker-registry (distribution), the private registry of demo, dev and tests
#   --street    network namespaces: iproute2, iptables, util-linux
#   --busybox   a static busybox, the whole of the small image
#   --debian    debootstrap, the bottom layer of the large one
#   --skopeo    a registry client that is not ours, for tests
#   --torrent   aria2 and a tracker, which the swarm is measured against
#   --upnp      miniupnpd and nft, a router that forwards ports on request, for tests
#
# Quiet and quick when there is nothing to do; else progress on stderr. Nothing goes to stdout,
# which belongs to the command that follows. Where something cannot be had, one line on stderr says
# what to install, and the exit status is 1.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
log="$root/.potluck/setup.log"
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

say() { printf 'potluck setup: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# Runs a command with its output in the log; on failure the log's end is the explanation.
logged() {
  mkdir -p "$root/.potluck"
  printf '\n$ %s\n' "$*" >>"$log"
  "$@" </dev/null >>"$log" 2>&1
}
show_log() { tail -n 15 "$log" >&2; }

# Two commands started at once from one clone must not run two installs into one folder.
lock_once() {
  [ -z "${locked:-}" ] || return 0
  locked=yes
  mkdir -p "$root/.potluck"
  have flock || return 0
  exec 9>"$root/.potluck/setup.lock"
  flock -w 900 9 || fail "another set-up has held $root/.potluck/setup.lock for 15 minutes; end it"
}

# --- npm's packages ------------------------------------------------------------------------------

stamp="$root/node_modules/.potluck-lock.json"

# The stamp is a copy of the lock file that node_modules was made from. A developer who ran
# `npm install` has no matching stamp, but a tree that is right: compared package by package, so
# that nobody's node_modules is thrown away without need.
packages_match() {
  cmp -s "$root/package-lock.json" "$stamp" && return 0
  [ -f "$root/node_modules/.package-lock.json" ] || return 1
  node -e '
    const { readFileSync } = require("fs")
    const read = (file) => JSON.parse(readFileSync(file, "utf8")).packages
    const want = read("package-lock.json")
    const got = read("node_modules/.package-lock.json")
    for (const [path, { version, optional }] of Object.entries(want)) {
      if (path === "" || (optional && !got[path])) continue
      if (got[path]?.version !== version) process.exit(1)
    }
  ' >/dev/null 2>&1 || return 1
  cp "$root/package-lock.json" "$stamp"
}

# Nothing that we use needs its install script, but Node 24, which comes below: so no third party's
# script runs here, often as root.
npm_flags='--include=dev --ignore-scripts --no-audit --no-fund --no-progress'
# shellcheck disable=SC2086 # one word a flag
install_packages() {
  packages_match && return 0
  lock_once
  packages_match && return 0
  have npm || fail 'npm is missing; install Node.js 20 or newer with npm (Debian: apt-get install npm)'
  say 'installing npm packages (npm ci)…'
  # npm ci refuses a lock file that does not name what this registry has for other platforms;
  # npm install takes the same versions from it, and puts up with what it lacks.
  logged npm ci $npm_flags || logged npm install --no-save $npm_flags || {
    show_log
    fail "npm ci failed (log: $log); it needs the npm registry or a warm npm cache"
  }
  cp "$root/package-lock.json" "$stamp"
}

# --- Node 24 -------------------------------------------------------------------------------------

node24="$root/node_modules/.bin/node"

node24_works() {
  case "$("$node24" -v 2>/dev/null || true)" in v24.*) return 0 ;; *) return 1 ;; esac
}

# The npm package `node` fetches its binary in a preinstall script, which newer npm versions may
# block and `--ignore-scripts` skips. So: ask npm to run the script; else take the platform's
# package, which holds nothing but the binary, ourselves; else a Node 24 that is on this machine.
install_node24() {
  node24_works && return 0
  lock_once
  node24_works && return 0
  say 'installing Node 24 into node_modules…'
  version=$(node -p "require('./node_modules/node/package.json').version")
  platform=$(node -p '`${process.platform}-${process.arch}`')
  logged npm rebuild node --ignore-scripts=false --no-audit --no-fund || true
  node24_works && return 0
  unpack_node24 "$version" "$platform" || true
  node24_works && return 0
  case "$(node -v)" in v24.*) ln -sf "$(command -v node)" "$node24" ;; esac
  node24_works && return 0
  show_log
  fail "Node 24 could not be had (npm package node-$platform@$version; log: $log); put a Node 24 first in PATH"
}

unpack_node24() {
  scratch="$root/.potluck/node24.$$"
  mkdir -p "$scratch" "$root/node_modules/node/bin" "$root/node_modules/.bin"
  logged npm pack "node-$2@$1" --pack-destination "$scratch" --silent &&
    logged tar -xzf "$scratch/node-$2-$1.tgz" -C "$scratch" package/bin/node &&
    mv -f "$scratch/package/bin/node" "$root/node_modules/node/bin/node" &&
    chmod 755 "$root/node_modules/node/bin/node" &&
    ln -sf ../node/bin/node "$node24"
  unpacked=$?
  rm -rf "$scratch"
  return $unpacked
}

# --- Debian packages -----------------------------------------------------------------------------

missing=''
need() { # need COMMAND PACKAGE
  have "$1" && return 0
  case " $missing " in *" $2 "*) ;; *) missing="$missing $2" ;; esac
}

# Only binaries matter: each node starts an engine of its own (own data, own containerd, own
# network namespace), so no system-wide engine is started, stopped or configured, ever. A `docker`
# client alone counts for nothing: the client may be there and no engine.
need_engine() {
  have dockerd && {
    need containerd containerd
    need runc runc
    need iptables iptables
    return 0
  }
  engine_answers && return 0 # someone else's engine, without binaries: leave it, and Docker, alone
  missing="$missing docker.io"
}

engine_answers() {
  case "${DOCKER_HOST:-unix:///var/run/docker.sock}" in
    unix://*) socket=${DOCKER_HOST:-unix:///var/run/docker.sock} socket=${socket#unix://} ;;
    *) have docker && timeout 5 docker version >/dev/null 2>&1 && return 0 || return 1 ;;
  esac
  [ -S "$socket" ] || return 1
  node -e '
    const request = require("http").get({ socketPath: process.argv[1], path: "/_ping" }, (reply) =>
      process.exit(reply.statusCode === 200 ? 0 : 1))
    request.on("error", () => process.exit(1))
    setTimeout(() => process.exit(1), 3000)
  ' "$socket"
}

# Debian's `busybox` is linked to its libc and would not run in an image that has none.
need_busybox() {
  if have busybox && ! LC_ALL=C grep -aq '/ld-linux\|/ld-musl' "$(command -v busybox)"; then
    return 0
  fi
  missing="$missing busybox-static"
}

install_debian() {
  [ -n "$missing" ] || return 0
  missing=${missing# }
  have apt-get || fail "please install: $missing (named as in Debian; there is no apt-get here)"
  [ "$(id -u)" = 0 ] || fail "not root; run once as root: apt-get install --no-install-recommends $missing"
  lock_once
  say "installing Debian packages: $missing…"
  quieten_services
  # The lists may be absent (a fresh image) or old (404 on fetch): then, and only then, update.
  # shellcheck disable=SC2086 # one word a package
  if ! apt_install $missing; then
    logged apt-get update -q || true
    apt_install $missing || {
      restore_services
      show_log
      fail "apt-get could not install $missing (log: $log); install them by hand"
    }
  fi
  restore_services
}

apt_install() {
  logged env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# docker.io and docker-registry start system services when installed: an engine that rewrites the
# machine's firewall, a registry on port 5000. Nobody asked for those. policy-rc.d is Debian's own
# way of saying no; one that is already there is left as it is.
policy=/usr/sbin/policy-rc.d
quieten_services() {
  [ -e "$policy" ] && return 0
  trap restore_services EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  printf '#!/bin/sh\n# potluck setup\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}
restore_services() {
  if grep -qs '^# potluck setup$' "$policy"; then rm -f "$policy"; fi
}

# --- what this command needs ---------------------------------------------------------------------

cd "$root"
have node || fail 'node is missing; install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)'
for flag in "$@"; do
  case "$flag" in
    --engine) need_engine ;;
    --registry) need docker-registry docker-registry ;;
    --street)
      need ip iproute2
      need tc iproute2
      need iptables iptables
      need nsenter util-linux
      need setpriv util-linux
      ;;
    --busybox) need_busybox ;;
    --debian) need debootstrap debootstrap ;;
    --skopeo) need skopeo skopeo ;;
    --torrent)
      need aria2c aria2
      need opentracker opentracker
      ;;
    --upnp)
      need miniupnpd miniupnpd-nftables
      need nft nftables
      ;;
    *) fail "unknown flag '$flag'; see the head of scripts/setup.sh" ;;
  esac
done
install_debian
install_packages
install_node24
