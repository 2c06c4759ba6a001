#!/usr/bin/env bash
# mutants.sh OUTPUT [NAME…]: builds the program with one mistake at a time in its use of collectives, as OUTPUT/NAME. Each must
# fail: `ESMSCALE=OUTPUT/NAME ranks_on_one_gpu.sh BUILD --brief`. Works in a copy of the tree; ccache makes a mutant cheap.

source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"

output=$(mkdir -p "$1" && cd "$1" && pwd)
shift
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(gradients_unawaited weights_unawaited buffer_reused zeros_early other_stream)
copy=$(mktemp -d /tmp/esmscale-mutants.XXXXXX)
trap 'git -C "$ROOT" worktree remove --force "$copy/tree"; rm -rf "$copy"' EXIT
git -C "$ROOT" worktree add --detach "$copy/tree" >/dev/null
[ ! -e "$ROOT/.deps" ] || ln -s "$(readlink -f "$ROOT/.deps")" "$copy/tree/.deps"
cd "$copy/tree"

# change FILE SED_SCRIPT: fails where nothing changes.
change() {
  sed -i "$2" "$1"
  ! git diff --quiet -- "$1" || fail "expected to change $1" "found it as before: $2"
}

gradients_unawaited() { change src/dist/gradients.cpp 's/^  oldest\.pending\.wait();$//'; }
weights_unawaited() { change src/dist/weight_exchange.cpp 's/^  oldest\.pending\.wait();$//'; }
# As if the memory of a bucket were given to another tensor before the bucket has left.
buffer_reused() { change src/dist/gradients.cpp 's/^  oldest\.pending\.wait();$/  oldest.whole.zero_(); oldest.pending.wait();/'; }
zeros_early() { change src/dist/gradients.cpp 's/^  while (!in_flight_\.empty()) complete_oldest();$/  zero();\n&/'; }
other_stream() {
  change src/dist/group.cpp 's/^  return begun(/  const c10::cuda::CUDAStreamGuard elsewhere(c10::cuda::getStreamFromPool());\n&/'
  change src/dist/group.cpp 's/^#include <vector>$/&\n#include <c10\/cuda\/CUDAGuard.h>/'
}

for name in "${names[@]}"; do
  "$name"
  cmake --preset release >/dev/null
  nice cmake --build --preset release --target esmscale >/dev/null
  cp build/release/esmscale "$output/$name"
  git checkout --quiet .
  note "$output/$name"
done
