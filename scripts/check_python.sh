#!/usr/bin/env bash
# Checks the Python of the tree by the rules of pyproject.toml: ruff's lint and format, and mypy. --fix mends what ruff can.
# Exit status 77: ruff and mypy are not here and cannot be fetched.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/linters.sh"

fix=''
take_arguments "" fix "" "$@"
require_python_linters
cd "$ROOT"
if [ -n "$fix" ]; then
  python_linter ruff check --quiet --fix --exit-zero . >/dev/null
  python_linter ruff format --quiet .
fi
status=0
python_linter ruff check --quiet --output-format concise . || status=1
python_linter ruff format --quiet --diff . || status=1
python_linter mypy --no-error-summary || status=1
[ $status -eq 0 ] || fail "the Python above is not clean" "scripts/check_python.sh --fix mends what ruff can"
