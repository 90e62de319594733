#!/bin/sh
# Runs a command in a fresh clone on what looks like a fresh Debian machine: nothing installed but
# Node 20, npm and git's clone, an empty HOME, root. It is this machine's kernel and network under a
# new root file system, process and mount namespace; the file system is the demo image's Debian.
# A set-up that leans on what a developer's machine happens to have is found out here.
#
#   sh test/fresh-machine.sh 'npm run demo && npm run demo'
#   KEEP=1 sh test/fresh-machine.sh …     keeps the machine for another command
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
machine=${MACHINE:-/tmp/potluck-fresh-machine}
command=${1:?usage: sh test/fresh-machine.sh COMMAND}

if [ ! -d "$machine/root/potluck" ]; then
  layer=$(ls "$root"/.potluck/cache/debian-*.tar.gz 2>/dev/null | head -n 1)
  [ -n "$layer" ] || { echo 'no Debian yet: run npm run demo or npm run test:e2e once' >&2; exit 1; }
  mkdir -p "$machine"
  chmod 755 "$machine"
  tar -xzf "$layer" -C "$machine"
  # The machine's own Node and npm, which are not the clone's.
  modules=/usr/lib/node_modules
  mkdir -p "$machine$modules" "$machine/usr/etc" "$machine/home/empty"
  cp /usr/bin/node "$machine/usr/bin/"
  cp -a "$modules/npm" "$machine$modules/"
  ln -s "..${modules#/usr}/npm/bin/npm-cli.js" "$machine/usr/bin/npm"
  ln -s "..${modules#/usr}/npm/bin/npx-cli.js" "$machine/usr/bin/npx"
  cp /etc/resolv.conf /etc/hosts "$machine/etc/"
  cp /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
  git clone -q "$root" "$machine/root/potluck"
fi

status=0
unshare --mount --pid --fork --kill-child --propagation private sh -eu -c '
  mount --bind "$1" "$1"
  cd "$1"
  mkdir -p old
  mount -t proc proc proc
  mount --rbind /sys sys
  mount --rbind /dev dev
  mount -t tmpfs tmpfs run
  pivot_root . old
  umount -l old
  cd /root/potluck
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/home/empty \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt CI=true bash -c "$2"
' fresh "$machine" "$command" || status=$?
[ -n "${KEEP:-}" ] || rm -rf --one-file-system "$machine"
exit $status
