# Sourced by every script: where things are, how a script speaks, and how it fails.

set -Eeuo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '\n==> %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
fail() {
  printf '\nerror: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

# The comment at the head of the script, without its marks.
print_help() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# What no fail() foresaw is named all the same.
trap 'printf "\nerror: %s, line %s: %s ended with status %s\n" "$0" "$LINENO" "$BASH_COMMAND" "$?" >&2' ERR

# with_log FILE COMMAND…: runs it quietly; shows the end of its output when it fails.
with_log() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" | sed 's/^/    | /' >&2
    return 1
  fi
}

require_root() { # WHAT FOR
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    fail "$1 needs root, and there is no sudo here" "Run this script as root once"
}

# Directly as root, otherwise through sudo; require_root comes first.
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# What the set-up fetches; clones may share one folder.
DEPS=${ESMSCALE_DEPS:-$ROOT/.deps}
mkdir -p "$DEPS" 2>/dev/null && [ -w "$DEPS" ] || fail "cannot write into $DEPS" "Set ESMSCALE_DEPS to a folder of yours"
DEPS=$(cd "$DEPS" && pwd)
