#!/usr/bin/env bash
# Makes the fixtures of tests/golden anew, with the version of transformers that the tests name.
#
#   scripts/make_golden.sh [FOLDER]   default: tests/golden/data
#
# Environment: ESMSCALE_TRANSFORMERS, another version of it; ESMSCALE_DEPS, where it is kept.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/reference.sh"

say "transformers $TRANSFORMERS_VERSION"
setup_reference || fail "transformers could not be set up (log: $DEPS/transformers.log)"
say "Golden values"
reference_python "$scripts/make_golden.py" "$@"
