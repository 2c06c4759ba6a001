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

# take_arguments "VALUES" "FLAGS" "WORDS" ARGUMENT…: sets a variable for each argument of a script. --NAME VALUE sets NAME
# for each NAME of VALUES, with _ for -; --NAME sets it to yes for each NAME of FLAGS; other arguments set the WORDS in turn.
# Arguments after -- are in the array `rest`; if the last of WORDS is …, unknown ones are too. --help prints the help.
take_arguments() {
  local values=" $1 " flags=" $2 " words name
  read -ra words <<<"$3"
  shift 3
  rest=()
  while [ $# -gt 0 ]; do
    name=${1#--}
    if [[ $1 = -h || $1 = --help ]]; then
      print_help
      exit 0
    elif [ "$1" = -- ]; then
      rest+=("${@:2}")
      return
    elif [[ $1 = --* && $values = *" $name "* ]]; then
      [ $# -gt 1 ] || fail "$1 needs a value" "See $0 --help"
      printf -v "${name//-/_}" '%s' "$2"
      shift
    elif [[ $1 = --* && $flags = *" $name "* ]]; then
      printf -v "${name//-/_}" yes
    elif [ "${words[0]-}" = … ]; then
      rest+=("$1")
    elif [[ $1 = -* || ${#words[@]} -eq 0 ]]; then
      fail "unknown argument $1" "See $0 --help"
    else
      printf -v "${words[0]}" '%s' "$1"
      words=("${words[@]:1}")
    fi
    shift
  done
}

# esmtools MODULE ARGUMENT…: a program of scripts/esmtools.
esmtools() { PYTHONPATH=$ROOT/scripts${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 python3 -m "esmtools.$1" "${@:2}"; }

json_value() { esmtools json_value "$@"; } # FILE KEY…, as in jobs.0 or runs.#; FILE may be -

human_gb() { awk -v bytes="$1" 'BEGIN { printf "%.1f GB", bytes / 1e9 }'; }

# What no fail() foresaw is named too.
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
