# How the checks of `run` and `faults` are made and counted. To be sourced after ../common.sh.
# shellcheck shell=bash disable=SC2034,SC2154 # variables of the other scripts

reach=$target/debug/examples/interop_reach
limit=30 # seconds for each check
passed=0
failed=0
left_out=0
PATH=$PATH:/usr/sbin:/sbin

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
