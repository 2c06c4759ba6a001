#!/usr/bin/env bash
# Speed and memory of training on the CPU, ours against Hugging Face's EsmForMaskedLM, on the quickstart's proteins:
# prints one table in Markdown. About twenty minutes on a quiet machine with two cores; --quick takes a minute and only
# shows that it works.
#
#   benchmarks/cpu_training.sh [--quick] [--models 8M,35M] [--batches 1,8] [--rounds 3] [--seconds 25] [--threads 2]
#                              [--step-tokens 4096] [--bf16] [--set KEY=VALUE]… [--build DIR] [--data DIR]
#
#   --bf16            both programs in bf16 too, Hugging Face's by autocast
#   --set KEY=VALUE   a configuration field of ours, such as train.engine=plain
#   --build DIR       where esmscale is built; default: build/release
#   --data DIR        a prepared data set; default: data/quickstart/train, which scripts/quickstart.sh makes
#
# Environment: ESMSCALE_TRANSFORMERS, another version of transformers; ESMSCALE_DEPS, where it is kept.

scripts=$(dirname "${BASH_SOURCE[0]}")/../scripts
source "$scripts/lib/common.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/program.sh"
source "$scripts/lib/reference.sh"

build=$ROOT/build/release data=$ROOT/data/quickstart/train
command="benchmarks/cpu_training.sh${*:+ $*}"
take_arguments "build data" "" … "$@"

[ -x "$build/esmscale" ] || fail "there is no $build/esmscale" "Build it first: scripts/setup.sh --build release"
build=$(cd "$build" && pwd)
esmscale=$build/esmscale
require_dataset "$data" "Make one with scripts/quickstart.sh, or specify --data"
data=$(realpath -- "$data")
cd "$ROOT" # the quickstart's configuration names its holdout from here
setup_reference || fail "transformers could not be set up (log: $DEPS/transformers.log)"
exec_reference_python -m esmtools.bench.cpu --esmscale "$esmscale" --data "$data" --command "$command" \
  "${rest[@]}"
