#!/usr/bin/env bash
# Builds the release preset and runs every test. Arguments go to ctest: scripts/test.sh -R data

scripts=$(dirname "${BASH_SOURCE[0]}")
"$scripts/setup.sh" --build release --tests || exit
cd "$scripts/.." || exit
printf '\n==> Running the tests\n' >&2
exec ctest --test-dir build/release --output-on-failure --parallel 2 "$@"
