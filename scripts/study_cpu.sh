#!/usr/bin/env bash
# A real study on this machine's processor, from a plan to a report: which model and how many tokens for a budget
# of 10^12 to 10^14 FLOPs, on the 50% representatives of Swiss-Prot. Two cores need a little under two hours.
# Safe to run again: what is done is kept, a study that was stopped goes on.
#
#   scripts/study_cpu.sh [--data DIR] [--holdout DIR] [--study DIR] [--results DIR]
#                        [--budgets C1,C2,…] [--centre N] [--predict C]
#
# 1 plan      4 budgets over a factor of 30, 6 or 7 sizes each, a second seed at the middle one
# 2 study     the sweep of the learning rate at the two smallest sizes, then the runs at the chosen rate
# 3 arms      decaying against constant learning rate at two sizes with two seeds
# 4 fit       laws and report, on holdout losses and, for training curves, on training losses
# 5 predict   the loss of one larger budget, written down before its run is started; then the run, and the difference
#
# The sum, C by Hoffmann's count (plan prints each run, count-flops each row of it):
#   main runs    7·1e12 + 7·3e12 + 8·1e13 + 8·3e13  3.5e14
#   sweep        8·1e12                             0.1e14
#   arms         6·3e12                             0.2e14 (the decaying runs of seed 1 are main runs)
#   prediction   1e14                               1.0e14
#   in all                                          4.8e14
# Two cores did 64, 88 and 110 GFLOP/s on models of 1 x 32, 2 x 64 and 3 x 128 (343, 87 and 23 thousand tokens/s).
# Nine tenths of the sum are runs of 1e13 and above, at 2 x 64 or wider: 4.8e14 / 88e9 = 5,500 s, with a holdout
# evaluation and a start of some 10 s for each of 45 runs about 1.7 hours.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"

data='' holdout='' study=runs/study_cpu results=docs/studies/cpu
budgets=1e12,3e12,1e13,3e13 centre=120K predict=1e14
while [ $# -gt 0 ]; do
  case $1 in
    --data | --holdout | --study | --results | --budgets | --centre | --predict)
      [ $# -gt 1 ] || fail "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift 2
      ;;
    -h | --help) print_help; exit 0 ;;
    *) fail "unknown argument $1" "See scripts/study_cpu.sh --help" ;;
  esac
done
# Paths are as the caller means them; the defaults lie in the tree.
for name in data holdout study results; do
  case ${!name} in
    '' | /* | runs/study_cpu | docs/studies/cpu) ;;
    *) printf -v "$name" '%s' "$PWD/${!name}" ;;
  esac
done

esmscale=${ESMSCALE:-build/release/esmscale} # a program built elsewhere
[ -n "${ESMSCALE:-}" ] || "$scripts/setup.sh" --build release --target esmscale || exit 1
cd "$ROOT"
data=${data:-data/swissprot/level50/train}
holdout=${holdout:-data/swissprot/level50/holdout}
helper=scripts/lib/study_cpu.py

for set in "$data" "$holdout"; do
  "$esmscale" info "$set" --json >/dev/null 2>&1 || fail "there is no prepared data set in $set" \
    "It holds the 50% representatives of Swiss-Prot, and the holdout beside it is purged of their relatives;" \
    "make both with the scripts under scripts/uniref, or name your own with --data and --holdout"
done

# Runs COMMAND; a stop by a signal ends the script with 85 too.
stoppable() {
  local status=0
  "$@" || status=$?
  [ $status -ne 85 ] || { note "stopped; run the same command again to go on"; exit 85; }
  return $status
}

train_one() { # CONFIG RUN [--set …]
  local config=$1 run=$2
  shift 2
  stoppable "$esmscale" train --config "$config" --output "$run" --data "$data" --holdout "$holdout" \
    --device cpu --resume auto "$@" >/dev/null || fail "the run $run failed" "Its folder tells how far it came"
}

say "Plan: budgets $budgets"
if [ -f "$study/study.json" ]; then
  note "$study is laid out"
else
  "$esmscale" plan --isoflop "$budgets" --models 7 --spread 4 --centre "$centre" --exponent 0.5 --replicates 1 \
    --data "$data" --max-seq-len 256 --batch-tokens 2048 --precision fp32 --schedule exponential \
    --decoder-bias frequencies --name study_cpu --output "$study"
fi

say "Study: the sweep, then the runs"
stoppable "$esmscale" study run "$study" --data "$data" --holdout "$holdout" --device cpu ||
  fail "some runs failed" "esmscale study retry $study runs them again, then start this script again"
mkdir -p "$results"
"$esmscale" study status "$study" --json >"$results/status.json"

say "Arms: decaying against constant learning rate"
python3 "$helper" list-arms "$study" | while read -r name config schedule seed; do
  train_one "$config" "$study/arms/$name" --set "schedule.name=$schedule" --set "train.seed=$seed" </dev/null
done
python3 "$helper" compare-arms "$study" "$results/arms.json"

say "Fit and report"
"$esmscale" fit "$study/runs" --output "$results/laws" --bootstrap 4000
"$esmscale" fit "$study/runs" --loss train --output "$results/laws_train" --bootstrap 4000

say "Prediction at $predict FLOPs"
if [ -f "$results/prediction.json" ]; then
  note "$results/prediction.json was written before; it stays"
else
  rm -rf "$study/next"
  if "$esmscale" plan --laws "$results/laws/laws.json" --flops "$predict" --data "$data" --allow-repeats \
    --max-seq-len 256 --batch-tokens 2048 --precision fp32 --schedule exponential --decoder-bias frequencies \
    --name next --output "$study/next" --json >"$results/prediction.json.aside"; then
    mv "$results/prediction.json.aside" "$results/prediction.json"
  else
    rm -f "$results/prediction.json.aside"
    note "null: these laws cannot plan $predict FLOPs; $results/laws/report.html says why"
  fi
fi
if [ -f "$results/prediction.json" ]; then
  rate=$(python3 "$helper" chosen-rate "$study" "$study/next/configs/next.json")
  train_one "$study/next/configs/next.json" "$study/next/run" --set "optimizer.lr=$rate"
  python3 "$helper" compare-prediction "$study/next/run" "$results/prediction.json" "$results/outcome.json"
fi

say "Keeping the metrics"
cp "$study/study.json" "$results/"
python3 "$helper" keep-metrics "$study" "$results/metrics"
note "$results/laws/report.html is the report"
