# What the scripts of the interop tests share. To be sourced, with $suite set to the name that goes before messages.
# shellcheck shell=bash disable=SC2154 # $suite

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$interop/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/interop
python=$work/venv/bin/python
certificates=$work/certificates
export NODE_PATH=$work/npm/node_modules PYTHONUNBUFFERED=1
pids=()

die() {
  echo "$suite: $*" >&2
  exit 1
}

# Stops what was started; each is the leader of a process group.
stop() {
  local pid
  for pid in "${pids[@]}"; do
    kill -TERM -- "-$pid" 2>/dev/null || true
  done
  for pid in "${pids[@]}"; do
    for _ in {1..200}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install() {
  install_python "$interop"
  install_npm "$interop"
}

# Installs the Python peers, unless these versions of them are there. Also says whether that went well, for those who can do without.
install_python() { # folder of requirements.txt
  local versions=$1/requirements.txt mark=$work/venv/installed
  ! cmp -s "$versions" "$mark" || return 0
  echo "$suite: installing from PyPI"
  rm -rf "$work/venv"
  python3 -m venv "$work/venv" &&
    "$python" -m pip install -q --disable-pip-version-check --no-deps -r "$versions" &&
    cp "$versions" "$mark"
}

# The same for the peers from npm.
install_npm() { # folder of package.json and package-lock.json
  local versions=$1/package-lock.json mark=$work/npm/installed
  ! cmp -s "$versions" "$mark" || return 0
  echo "$suite: installing from npm"
  rm -rf "$work/npm"
  mkdir -p "$work/npm" &&
    cp "$1/package.json" "$versions" "$work/npm" &&
    (cd "$work/npm" && npm ci --no-audit --no-fund --loglevel=error) &&
    cp "$versions" "$mark"
}

# From here on nothing goes through a proxy unless a check says so.
forget_proxies() {
  unset {http,https,ws,wss,all,no}_proxy {HTTP,HTTPS,WS,WSS,ALL,NO}_PROXY
}

make_certificates() {
  rm -rf "$certificates"
  mkdir "$certificates"
  "$interop/certificates" "$certificates" >"$certificates.log" 2>&1 || die "no certificates: $(tail -n 5 "$certificates.log")"
}

# Starts a server, which says "listening PORT" or "listening URL" within half a minute, and sets $port to that. What it says
# besides is in the file $log.
serve() { # command
  log=$(mktemp "$work/server.XXXXXX")
  setsid "$@" >"$log" 2>&1 &
  pids+=($!)
  for _ in {1..600}; do
    port=$(awk '/^listening/ { print $2 }' "$log")
    [[ -z $port ]] || return 0
    kill -0 $! 2>/dev/null || break
    sleep 0.05
  done
  die "$* does not listen: $(tail -n 5 "$log")"
}
