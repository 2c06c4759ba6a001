#!/usr/bin/env bash
# Checks the C++ sources against .clang-format; --fix formats them. Other versions of clang-format differ in details, so
# only version 14 (of Debian 12 and Ubuntu 22.04) is used. Exit status 77: it is not here and cannot be installed.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/linters.sh"

fix=''
take_arguments "" fix "" "$@"
action=(--dry-run --Werror)
[ -z "$fix" ] || action=(-i)
program=clang-format
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
  program=clang-format-14
  require_linter $program $program
fi
cd "$ROOT"
git ls-files -z -- '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 --no-run-if-empty "$program" "${action[@]}" ||
  fail "the files above are not formatted" "scripts/check_format.sh --fix does it"
