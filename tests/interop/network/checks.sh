# How the checks of `run` and `faults` are made and counted. To be sourced after ../common.sh.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the other scripts

reach=$target/debug/examples/interop_reach
limit=30 # seconds for each check
passed=0
failed=0
left_out=0
PATH=$PATH:/usr/sbin:/sbin

# Waits until somebody listens, for 15 s. What the program says is expected in a log.
await_listener() { # what it is called, its process, address, port
  for _ in {1..300}; do
    # A subshell, so that the connection ends at once.
    if (: <>"/dev/tcp/$3/$4") 2>/dev/null; then
      return 0
    fi
    kill -0 "$2" 2>/dev/null || break
    sleep 0.05
  done
  die "$1 does not listen: $(tail -n 5 "$work/$1.log")"
}

has_ipv6() {
  grep -q '^0*1 .* lo$' /proc/net/if_inet6 2>/dev/null
}

leave_out() { # what
  echo "LEFT OUT $1"
  left_out=$((left_out + 1))
}

# Runs the client, which says in one line how it went.
check() { # what, URL, options of the client
  local said
  if ! said=$(timeout "$limit" "$reach" "${@:2}" 2>&1); then
    echo "FAILED $1: $said"
    echo "  interop_reach ${*:2}"
    failed=$((failed + 1))
    return 0
  fi
  echo "ok $1: $said"
  passed=$((passed + 1))
}
