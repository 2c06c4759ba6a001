# What .ci/run checks the tree with: packages of Debian, and ruff and mypy in a folder of their own.

source "$ROOT/scripts/lib/packages.sh"

PYTHON_LINTERS=(ruff==0.17.6 mypy==2.4.1)
LINTERS=$DEPS/linters-$(printf '%s-' "${PYTHON_LINTERS[@]//==/}")py3

# Ends the script: a check that is not possible here is no failure, except in CI.
skip_check() { # REASON
  [ "${CI-}" != true ] || fail "$1" "CI is true, so no check may be skipped"
  note "skipped: $1"
  exit 77
}

require_linter() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || install_if_allowed "$2" || true
  command -v "$1" >/dev/null || skip_check "$1 is not here (the Debian package is $2)"
}

python_linter() { PYTHONPATH=$LINTERS python3 -m "$@"; }

require_python_linters() {
  [ -d "$LINTERS" ] || {
    command -v pip3 >/dev/null || install_if_allowed python3-pip || true
    note "fetching ${PYTHON_LINTERS[*]} into $LINTERS"
    rm -rf "$LINTERS.partial"
    pip_install "$DEPS/linters.log" "$LINTERS.partial" "${PYTHON_LINTERS[@]}" ||
      skip_check "pip could not fetch ${PYTHON_LINTERS[*]} (log: $DEPS/linters.log)"
    mv "$LINTERS.partial" "$LINTERS"
  }
}
