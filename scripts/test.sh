#!/usr/bin/env bash
# Builds the release preset and runs every test. Arguments go to ctest: scripts/test.sh -R data
# The last line has the number of test cases that passed and failed.

scripts=$(dirname "${BASH_SOURCE[0]}")
"$scripts/setup.sh" --build release --tests || exit
source "$scripts/lib/common.sh"
cd "$ROOT"
say "Running the tests"
junit=build/release/tests.xml
rm -f "$junit"
status=0
# The whole output of every test is kept, for the summary.
ctest --test-dir build/release --output-on-failure --parallel 2 --output-junit "$ROOT/$junit" \
  --test-output-size-passed 100000000 --test-output-size-failed 100000000 "$@" || status=$?
[ ! -f "$junit" ] || esmtools test_summary "$junit"
exit $status
