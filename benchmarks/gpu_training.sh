#!/usr/bin/env bash
# Speed and memory of training on one GPU, ours (plain and fused) against Hugging Face's EsmForMaskedLM with torch.compile,
# SDPA and padding: builds, checks the fused engine against the plain one on this GPU, measures every size, and prints
# tables in Markdown: tokens/s, MFU, memory, kernels a step, the card's power and clock, and where a step's time goes.
# About fifteen minutes.
#
#   benchmarks/gpu_training.sh [--dry-run] [--models 8M,35M,150M,650M] [--programs fused,plain,peer]
#                              [--precision bf16|fp8|tf32|fp32] [--micro-batches 4] [--seconds 20] [--set KEY=VALUE]…
#                              [--build DIR] [--data DIR]
#
#   --micro-batches N an update of the plain engine and the peers; the fused engine has its configuration's own, 524,288
#                     tokens
#   --programs NAMES  leaves some out; the peers take minutes to compile
#   --dry-run         the same steps with a tiny model on the CPU, for machines without a GPU
#   --set KEY=VALUE   a configuration field of ours
#   --build DIR       where esmscale is built already; default: build/release, after building it
#   --data DIR        a prepared data set; default: data/quickstart/train, which scripts/quickstart.sh makes
#
# Environment: ESMSCALE_TRANSFORMERS, another version of transformers; ESMSCALE_DEPS, where it is kept.

scripts=$(dirname "${BASH_SOURCE[0]}")/../scripts
source "$scripts/lib/common.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/program.sh"
source "$scripts/lib/reference.sh"

build='' data=$ROOT/data/quickstart/train programs=fused,plain,peer dry_run=''
command="benchmarks/gpu_training.sh${*:+ $*}"
take_arguments "build data programs" dry-run … "$@"

if [ -z "$build" ]; then
  "$scripts/setup.sh" --build release || exit 1
  build=$ROOT/build/release
fi
for program in esmscale model_test golden_test; do
  [ -x "$build/$program" ] || fail "there is no $build/$program" "Leave out --build to have it built"
done
build=$(cd "$build" && pwd)
data=$(realpath -- "$data")
cd "$ROOT" # the quickstart's configuration names its holdout from here
esmscale=$build/esmscale
require_dataset "$data" "Make one with scripts/quickstart.sh, or specify --data"
if [ -z "$dry_run" ]; then
  nvidia-smi >/dev/null 2>&1 || fail "no GPU is here" "--dry-run checks what can be checked without one"
  [[ $("$esmscale" --version) == *CUDA* ]] ||
    fail "$esmscale is a build without CUDA" "Install CUDA 13's nvcc, and leave out --build to have it built"
fi
if [[ $programs == *peer* ]]; then
  setup_reference || fail "transformers could not be set up (log: $DEPS/transformers.log)"
  # torch.compile builds a little C++ that includes it.
  [ -n "$dry_run" ] || has_python_header || install_packages python3-dev
fi

# What is fast must be right first: skipped by name where there is no GPU.
say "Fused against plain"
("$build/model_test" --gtest_brief=1 --gtest_filter='Gpu*:*GpuTest*:FusedEngine*:*FusedEngines*:DeviceEngine*' >&2 &&
  "$build/golden_test" --gtest_brief=1 >&2) || fail "the fused engine does not agree with the plain one: not measured"

say "Measuring"
exec_reference_python -m esmtools.bench.gpu --esmscale "$esmscale" --data "$data" --command "$command" \
  --programs "$programs" ${dry_run:+--dry-run} "${rest[@]}"
