#!/usr/bin/env bash
# From nothing to a trained and evaluated ESM-2 on this machine's processor: set-up, build, 20,000 real proteins,
# prepare, train (a minute or two on two cores), eval, count-flops, and a summary. Safe to run again: it
# keeps what exists, resumes a run that was stopped, and evaluates a finished one again.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/proteins.sh"

take_arguments "" "" "" "$@"

esmscale=build/release/esmscale
config=configs/quickstart.json
proteins=data/DB.fasta.gz
train_set=data/quickstart/train
holdout_set=data/quickstart/holdout
run=runs/quickstart

prepare() {
  if "$esmscale" info "$train_set" --json >/dev/null 2>&1 && "$esmscale" info "$holdout_set" --json >/dev/null 2>&1; then
    note "$train_set and $holdout_set are there"
    return
  fi
  # Identical sequences are dropped first, so no held-out one is in the training set.
  "$esmscale" prepare --input "$proteins" --output "$train_set" --deduplicate \
    --holdout 1000 --holdout-output "$holdout_set" --force ||
    fail "preparing $proteins failed"
}

# Resumes from a checkpoint if there is one; a finished run only prints its summary.
train() {
  local status=0
  "$esmscale" train --config "$config" --device cpu --output "$run" || status=$?
  case $status in
    0) ;;
    85) fail "training was stopped and has written a checkpoint" "Run scripts/quickstart.sh again to resume from it" ;;
    *) fail "training failed with status $status" "To begin anew, remove $run" ;;
  esac
}

"$scripts/setup.sh" --build release --target esmscale || exit 1
cd "$ROOT"
say "Proteins"
fetch_proteins "$proteins"
say "Preparing them: shuffled shards of tokens, and 1,000 sequences held out"
prepare
say "Training $config; stop it at any time, this script resumes it"
train
mkdir -p "$run/results"
say "Evaluating on the held-out sequences"
"$esmscale" eval --checkpoint "$run" --holdout "$holdout_set" --json >"$run/results/eval.json"
say "Counting parameters and FLOPs"
"$esmscale" count-flops --config "$config" --data "$train_set" --json >"$run/results/count-flops.json"
esmtools quickstart_summary "$run"
