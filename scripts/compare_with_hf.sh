#!/usr/bin/env bash
# Compares esmscale with Hugging Face's transformers, both ways, and prints a table: the largest differences of
# logits, loss and gradients. Exit status 1 when one is above its tolerance.
#
#   scripts/compare_with_hf.sh [--models MODEL,…] [--build DIR] [--if-possible]
#
#   --models MODEL,…  each is tiny, tiny-29 (29 tokens), 5M, 8M, 35M, 150M with random weights, or a Hugging Face
#                     folder; default: 8M
#   --build DIR       where esmscale is built; default: build/release
#   --if-possible     status 77 instead of an error when transformers cannot be had here without fetching torch
#
# Environment: ESMSCALE_TRANSFORMERS, another version of transformers; ESMSCALE_DEPS, where it is kept.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/reference.sh"

models=8M build=$ROOT/build/release if_possible=''
take_arguments "models build" if-possible "" "$@"

for program in esmscale golden_probe; do
  [ -x "$build/$program" ] || fail "there is no $build/$program" "Build it first: scripts/setup.sh --build release"
done
if ! setup_reference "${if_possible:+--small}"; then
  [ -n "$if_possible" ] || fail "transformers could not be set up (log: $DEPS/transformers.log)"
  note "skipped: no transformers here, and it cannot be had without fetching torch"
  exit 77
fi
reference_python "$scripts/compare_with_hf.py" --build "$build" --models "$models"
