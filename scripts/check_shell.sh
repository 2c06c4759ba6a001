#!/usr/bin/env bash
# Checks the shell scripts of the tree with shellcheck, by the rules of .shellcheckrc. Exit status 77: it is not here and
# cannot be installed.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/linters.sh"

require_linter shellcheck shellcheck
cd "$ROOT"
git ls-files -z -- '*.sh' '*.sbatch' .ci/run | xargs -0 shellcheck --severity=warning --format=gcc ||
  fail "the scripts above are not clean"
