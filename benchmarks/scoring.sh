#!/usr/bin/env bash
# Speed of masked marginals on the CPU, ours against a plain loop over Hugging Face's EsmForMaskedLM, on the assay of
# the tests, with random weights: prints one table in Markdown. About two minutes on a quiet machine with two cores.
#
#   benchmarks/scoring.sh [--shape 8M] [--rounds 3] [--threads 2] [--build DIR]
#
#   --build DIR       where esmscale is built; default: build/release
#
# Environment: ESMSCALE_TRANSFORMERS, another version of transformers; ESMSCALE_DEPS, where it is kept.

scripts=$(dirname "${BASH_SOURCE[0]}")/../scripts
source "$scripts/lib/common.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/reference.sh"

build=$ROOT/build/release
command="benchmarks/scoring.sh${*:+ $*}"
take_arguments "build" "" … "$@"

[ -x "$build/esmscale" ] || fail "there is no $build/esmscale" "Build it first: scripts/setup.sh --build release"
setup_reference || fail "transformers could not be set up (log: $DEPS/transformers.log)"
exec_reference_python -m esmtools.bench.scoring --esmscale "$build/esmscale" --command "$command" "${rest[@]}"
