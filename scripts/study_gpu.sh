#!/usr/bin/env bash
# A scaling study on one GPU in some minutes: three budgets, five sizes each, then the fit. Finished runs are kept, so the
# command may be stopped and run again. It has not been run on a GPU yet.
#
#   scripts/study_gpu.sh --data DIR --holdout DIR --output DIR [--budgets 1e15,3.2e15,1e16] [--models 5] [--spread 3]
#                        [--centre 8M] [--batch 16384] [--max-seq-len 512] [--jobs 2] [--minutes 7] [--device cuda]
#                        [--dry-run]
#
# --minutes: the runs stop then, with a checkpoint. --dry-run lays the study out, prints its runs and its cost, and trains
# nothing. At 1e16 FLOPs a model of 2.6M parameters trains 457M tokens, three epochs of Swiss-Prot: the fit takes runs of
# up to four, or the highest budget would keep two sizes and no minimum.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' output='' budgets=1e15,3.2e15,1e16 models=5 spread=3 centre=8M batch=16384 max_seq_len=512 jobs=2
minutes=7 device=cuda dry_run=''
take_arguments "data holdout output budgets models spread centre batch max-seq-len jobs minutes device" dry-run "" "$@"
[[ -n $data && -n $holdout && -n $output ]] || fail "--data, --holdout and --output are needed" "See $0 --help"
require_esmscale
require_dataset "$data" "Make one with esmscale prepare"
require_dataset "$holdout" "Make one with esmscale prepare"

if [ ! -f "$output/study.json" ]; then
  "$esmscale" study plan "$output" --isoflop "$budgets" --models "$models" --spread "$spread" --centre "$centre" \
    --exponent 0 --replicates 0 --no-lr-sweep --data "$data" --max-seq-len "$max_seq_len" --batch-tokens "$batch" \
    --optimizer normuon --schedule linear --decoder-bias frequencies --precision auto --name study_gpu
fi
if [ -n "$dry_run" ]; then
  "$esmscale" study status "$output"
  exit
fi
status=0
timeout --signal=TERM "$(awk -v m="$minutes" 'BEGIN { print int(60 * m) }')" \
  "$esmscale" study run "$output" --data "$data" --holdout "$holdout" --device "$device" --jobs "$jobs" \
  --set masking.mlm_probability=0.2 --set schedule.decay_factor=0 || status=$?
case $status in
  0) ;;
  85 | 124) note "stopped after $minutes minutes; run the command again for the rest" ;;
  *) exit "$status" ;;
esac
"$esmscale" fit "$output" --most-epochs 4 --output "$output/laws" --force
