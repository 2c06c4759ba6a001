#!/usr/bin/env bash
# Bytes that ranks send in a step, next to the least possible, counted from outside: each run has a network namespace of its
# own, and its loopback device counts all that the ranks send to each other, headers and acknowledgements too.
#
#   benchmarks/communication.sh [--build DIR] [--steps N] [--when]
#
#   --when   instead: in which part of a step the bytes leave, two ranks at stage 0
#
# Two runs that differ by N steps (default 8) show what a step costs without start and end. The least, in words of four bytes
# for P parameters, n ranks and m micro-batches: 2·P·(n−1)/n a rank for stages 0 and 1, (m+1)·P·(n−1)/n for stage 2
# (docs/parallel.md). Status 1 when stage 0 sends more than 1.05 times the least. Needs root, or user namespaces.

scripts=$(dirname "${BASH_SOURCE[0]}")/../scripts
source "$scripts/lib/common.sh"
source "$scripts/lib/proteins.sh"

build=$ROOT/build/release steps=8 when=''
take_arguments "build steps" when "" "$@"
[ -x "$build/esmscale" ] || fail "there is no $build/esmscale" "Build it first: scripts/setup.sh --build release"
isolate=(unshare --net)
[ "$(id -u)" -eq 0 ] || isolate+=(--map-root-user)
"${isolate[@]}" true || fail "no network namespace can be made here" "Run it as root"
measure=("${isolate[@]}" env PYTHONPATH="$ROOT/scripts" python3 -m esmtools.bench.communication)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
random_proteins 2000 62 >"$work/proteins.fasta"
with_log "$work/prepare.log" "$build/esmscale" prepare --input "$work/proteins.fasta" --output "$work/data"

common=(--config esm2_8M.json --data "$work/data" --device cpu --threads 1 --set train.precision=fp32
  --set data.max_seq_len=64 --set train.pack_tokens=64 --set log.every_steps=1 --set checkpoint.every_minutes=0)

if [ -n "$when" ]; then
  say "When bytes leave, ESM-2 8M, two ranks of 1,024 tokens a step, Gloo on loopback"
  "${measure[@]}" when "$work/run" \
    "$build/esmscale" train "${common[@]}" --output "$work/run" --ranks 2 \
    --set train.batch_tokens=2048 --set train.max_tokens=$((2048 * (steps + 2)))
  exit
fi

rows=256 # of every rank in a step, in one micro-batch or in two
train() { # RANKS STAGE MICRO_BATCHES STEPS RUN; prints the bytes that the loopback device sent
  with_log "$work/log" "${measure[@]}" count "$work/bytes" \
    "$build/esmscale" train "${common[@]}" --output "$5" --ranks "$1" --set parallel.zero_stage="$2" \
    --set train.micro_batch_tokens=$((rows / $3)) --set train.batch_tokens=$((rows * $1)) \
    --set train.max_tokens=$((rows * $1 * $4))
  cat "$work/bytes"
}

say "Bytes sent a step, ESM-2 8M, Gloo on loopback"
printf '%5s %5s %13s %14s %14s %6s %8s\n' ranks stage micro-batches sent least ratio counted
failures=0
for ranks in 2 4; do
  for stage in 0 1 2; do
    for micro_batches in 1 2; do
      few=$(train $ranks $stage $micro_batches 2 "$work/few")
      many=$(train $ranks $stage $micro_batches $((2 + steps)) "$work/many")
      esmtools bench.communication compare "$work/few" "$work/many" "$few" "$many" $ranks $stage $micro_batches || failures=1
      rm -rf "$work/few" "$work/many"
    done
  done
done
[ "$failures" -eq 0 ] || fail "stage 0 sends more than 1.05 times the least"
