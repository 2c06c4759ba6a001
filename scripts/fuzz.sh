#!/usr/bin/env bash
# fuzz.sh [READER|all] [SECONDS] [PRESET]: changed files for one reader, or for each, SECONDS each (600), by the build of
# a preset (asan; its LibTorch rooms take long to build). Inputs that fail are kept in build/PRESET/fuzz-findings, and go
# to tests/fuzz/corpus/FORMAT/failed-NAME together with the mend.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

reader=${1:-all} seconds=${2:-600} preset=${3:-asan}
build=build/$preset
[ -f "$build/build.ninja" ] || cmake --preset "$preset"
status=0 found=0
for program in fuzz fuzz_torch; do
  # Without LibTorch where that is enough.
  if [ "$reader" != all ] && [ -x "$build/fuzz" ] && "$build/fuzz" --list | grep -qx -- "$reader" && [ $program = fuzz_torch ]; then
    continue
  fi
  cmake --build "$build" --target $program
  names=()
  if [ "$reader" != all ]; then
    "$build/$program" --list | grep -qx -- "$reader" || continue
    names=("$reader")
  fi
  found=1
  "$build/$program" "${names[@]}" --seconds "$seconds" --seed "$(date +%s)" --keep "$build/fuzz-findings" || status=1
done
[ $found = 1 ] || { echo "error: no reader $reader" >&2 && exit 2; }
exit $status
