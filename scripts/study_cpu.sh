#!/usr/bin/env bash
# A real study on this machine's processor, from a plan to a report: which model and how many tokens for a budget
# of 3·10^11 to 4·10^12 FLOPs, on the 50% representatives of Swiss-Prot. Two cores need ten minutes or so.
# Safe to run again: finished runs are kept, a study that was stopped is resumed.
#
#   scripts/study_cpu.sh [--data DIR] [--holdout DIR] [--study DIR] [--results DIR]
#                        [--budgets C1,C2,…] [--centre N] [--predict C] [--bootstrap B] [--until prediction]
#
# 1 plan      4 budgets over a factor of 11, the same 6 sizes at each
# 2 study     the sweep of the learning rate at the two smallest sizes, then the runs at the chosen rate
# 3 arms      decaying against constant learning rate at two sizes with two seeds
#   branches  at one size: what a branch of a trunk loses against a run of its own, at two horizons with two seeds
# 4 fit       laws and report, on holdout losses and, for training curves, on training losses; study.tar.zst holds all
#             that fits them again
# 5 predict   the loss of one larger budget, written down before its run is started; then the run, and the difference
#
# --study     the folder of the runs; default runs/study_cpu
# --results   the folder of laws, reports and comparisons; default runs/study_cpu.results
# --until prediction   ends when the prediction is written down, so that it can be kept elsewhere before the run
# --holdout   its first 1,000 sequences are scored, in windows as long as the models' crops
#
# The sum, C by Hoffmann's count (plan prints each run, count-flops each row of it):
#   main runs    7·(0.32 + 0.72 + 1.6 + 3.6)e12   4.4e13 (6 sizes, and a second seed of one)
#   sweep        8·0.32e12                        0.3e13
#   arms         8·0.72e12                        0.6e13
#   branches     2·2.6·0.72e12                    0.4e13
#   prediction   6e12                             0.6e13
#   total                                         6.3e13
# The largest budget keeps the smallest model within one epoch of these data (about 2·10^7 tokens in crops of 256).
# Two runs train at a time, each on half the cores: models of some ten thousand parameters do not fill more, and threads
# that share a core with other work wait for each other.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' study='' results='' until=''
budgets=3.2e11,7.2e11,1.6e12,3.6e12 centre=49K predict=6e12 bootstrap=4000
rows=256 batch=1024 rate=0.003 scored=1000
take_arguments "data holdout study results budgets centre predict bootstrap until" "" "" "$@"
[ "${until:-prediction}" = prediction ] || fail "--until is prediction, not $until"
# Paths are as the caller means them; paths inside the tree are relative to its root.
for name in data holdout study results; do
  case ${!name} in '') continue ;; /*) ;; *) printf -v "$name" '%s' "$PWD/${!name}" ;; esac
  printf -v "$name" '%s' "${!name#"$ROOT"/}"
done
data=${data:-data/swissprot/level50/train} holdout=${holdout:-data/swissprot/level50/holdout}
study=${study:-runs/study_cpu} results=${results:-runs/study_cpu.results}

require_esmscale
cd "$ROOT"
for set in "$data" "$holdout"; do
  require_dataset "$set" \
    "It holds the 50% representatives of Swiss-Prot, and the holdout next to it none of their relatives;" \
    "make both with the scripts under scripts/uniref, or specify your own with --data and --holdout"
done

run_study() {
  stoppable "$esmscale" study run "$study" --data "$data" --holdout "$scored_set" --device cpu --jobs 2 ||
    fail "some runs failed" "esmscale study retry $study runs them again, then start this script again"
}

# A part of the holdout is enough here. Its windows are as long as the crops: a model is not scored on rows that it
# never saw.
score_part() {
  local values sequences window
  values=$(dataset_values "$holdout" sequences eval_length)
  read -r sequences window <<<"$values"
  scored_set=$holdout
  if [ "$sequences" -le $scored ] && [ "$window" -le $((rows - 2)) ]; then return; fi
  scored_set=$study.holdout
  if is_dataset "$scored_set"; then
    note "$scored_set is there"
    return
  fi
  "$esmscale" fasta "$holdout" --range "0:$((sequences < scored ? sequences : scored))" |
    "$esmscale" prepare --input - --keep-order --output "$scored_set" --eval-length "$((rows - 2))" --force >&2 ||
    fail "preparing $scored_set failed"
  rm -f "$scored_set.report.json"
  esmtools study.cpu holdout-report "$holdout" "$scored_set.report.json"
  [ ! -f "$scored_set.report.json" ] ||
    "$esmscale" prepare --output "$scored_set" --attach-report "$scored_set.report.json" >/dev/null
}

mkdir -p "$(dirname "$study")" "$results"
say "Holdout"
score_part

say "Plan: budgets $budgets"
model_flags=(--data "$data" --max-seq-len "$rows" --batch-tokens "$batch" --lr "$rate" --precision fp32
  --schedule exponential --decoder-bias frequencies)
if [ -f "$study/study.json" ]; then
  note "$study is laid out"
else
  "$esmscale" study plan "$study" --isoflop "$budgets" --models 7 --spread 4 --centre "$centre" --exponent 0 \
    --replicates 1 "${model_flags[@]}" --name study_cpu
fi

say "Study: the sweep, then the runs"
run_study

say "Arms: decaying against constant learning rate; branches of a trunk against runs of their own"
esmtools study.cpu add-arms "$esmscale" "$study"
esmtools study.cpu add-branches "$esmscale" "$study"
run_study
"$esmscale" study status "$study" --json >"$results/status.json"
"$esmscale" study effects "$study" --json >"$results/arms.json"
"$esmscale" study effects "$study"
esmtools study.cpu link-groups "$study" "$study/groups"
for horizon in "$study"/groups/*; do
  "$esmscale" compare "$horizon/branch" "$horizon/own" --json >"$results/branch_${horizon##*/}.json"
  "$esmscale" compare "$horizon/branch" "$horizon/own" | tail -n 3
done

say "Fit and report"
"$esmscale" fit "$study" --output "$results/laws" --bootstrap "$bootstrap" --force --bundle "$results/study.tar.zst"
"$esmscale" fit "$study" --loss train --output "$results/laws_train" --bootstrap "$bootstrap" --force

say "Prediction at $predict FLOPs"
if [ -f "$results/prediction.json" ]; then
  note "$results/prediction.json was written before; it stays"
elif "$esmscale" plan --laws "$results/laws/laws.json" --flops "$predict" --allow-repeats "${model_flags[@]}" \
  --name next --output "$study/next" --json >"$results/prediction.json.aside"; then
  note "by the law's optimum"
  factor=$(json_value "$results/status.json" learning_rate.factor)
  planned=$(json_value "$study/next/configs/next.json" optimizer.lr)
  "$esmscale" study add "$study" --base "$study/next/configs/next.json" --name next \
    --set "optimizer.lr=$(awk -v a="$factor" -v b="$planned" 'BEGIN { print a * b }')"
  mv "$results/prediction.json.aside" "$results/prediction.json"
else
  note "plan has none, and says why above; L(C) predicts the loss of the size that is best so far"
  esmtools study.cpu predict-by-frontier "$esmscale" "$study" "$results/laws/laws.json" "$predict" \
    >"$results/prediction.json.aside"
  mv "$results/prediction.json.aside" "$results/prediction.json"
fi
if [ "$until" = prediction ]; then
  note "$results/prediction.json is written; the same command without --until trains its run"
  exit
fi
run_study
esmtools study.cpu compare-prediction "$study/runs/next" "$results/prediction.json" "$results/outcome.json"
note "$results/laws/report.html is the report"
