#!/usr/bin/env bash
# Lays out the paper's study (configs/studies/paper/study.json: 5M to 650M parameters, three samples of UniRef50, with
# and without a decay of the learning rate) on a prepared data set, predicts hours and memory of every run, and hands
# it to SLURM: an array for each model, the cheap ones first, so that a mistake shows after minutes.
#
#   scripts/uniref/paper_study.sh --data DIR --holdout DIR [--output runs/paper] [--plan FILE] [--samples N1,N2,N3]
#                                 [--device cuda|cpu] [--submit]
#
# --data, --holdout  DIR/train and DIR/holdout of scripts/uniref/holdout.sh
# --plan             another study.json
# --samples          other sizes of the samples, such as those of your own levels
# --device           of the runs; default cuda
# --submit           submit it now: esmscale study run OUTPUT --slurm --data … --holdout … --device …
#
# OUTPUT is a study of esmscale (esmscale study status OUTPUT), with plan.md (the table). Hours are FLOPs by Hoffmann's
# count over 40% of a device's dense peak at the configuration's precision.

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' output=$ROOT/runs/paper plan=$ROOT/configs/studies/paper/study.json samples='' device=cuda submit=''
take_arguments "data holdout output plan samples device" submit "" "$@"
[ -n "$data" ] && [ -n "$holdout" ] || fail "--data and --holdout are needed" "scripts/uniref/holdout.sh makes both"
[ -f "$plan" ] || fail "there is no study in $plan"
[ ! -e "$output/study.json" ] || fail "$output holds a study already" \
  "esmscale study run $output --slurm submits what is not done; or choose another --output"
[ -z "$submit" ] || command -v sbatch >/dev/null || fail "--submit needs sbatch on PATH" \
  "Without it the study is laid out, and can be submitted on the cluster"

require_esmscale
for set in "$data" "$holdout"; do
  require_dataset "$set"
done
say "The study of $plan in $output"
table=$(esmtools study.paper --esmscale "$esmscale" --plan "$plan" --data "$(realpath "$data")" \
  --holdout "$(realpath "$holdout")" --output "$output" --samples "$samples")
printf '%s\n' "$table" | tee "$output/plan.md"
submission=("$esmscale" study run "$output" --slurm --data "$data" --holdout "$holdout" --device "$device")
if [ -n "$submit" ]; then
  "${submission[@]}"
else
  note "to submit it: ${submission[*]}"
fi
