#!/usr/bin/env bash
# What our recipe of training is worth against Hugging Face's, at several sizes on this machine's processor: the same
# tokens, model and order of sequences, and the loss on the same masks of one holdout, paired by sequence. Safe to run
# again: finished runs are kept, one that was stopped is resumed.
#
#   scripts/recipe_study.sh --data DIR --holdout DIR [--runs DIR] [--results DIR] [--sizes 3x64x4,4x128x8,6x160x10]
#                           [--tokens 2M,800K,250K] [--sequences 2000] [--jobs 2] [--minutes M] [--config FILE]
#
# baseline   AdamW (weight decay 0.01), initialisation hf, masks of 15%, linear decay to a tenth; its rate is swept until
#            the best has a worse one on either side
# ours       NorMuon, initialisation xavier with a decoder bias of letter frequencies, masks of 20%, linear decay to zero;
#            the matrices' rate is swept in the same way, Adam's is the baseline's best
#
# Both in batches of 2,048 tokens, crops of 256 rows and a warm-up of a twentieth. Runs are in the order of their worth:
# the sweeps and so the pair, a second seed, the baseline at twice and four times the tokens, ours in one respect at a time
# at the middle size, other rates of our Adam. So a stop at any time leaves whole comparisons.
#
# --sizes      LAYERSxWIDTHxHEADS, smallest first; --tokens: of a run at each
# --sequences  of the holdout that are scored
# --jobs       runs at a time, of one thread each; --minutes: no run begins later than this
# --runs       default runs/recipe_study; --results: recipe.json, tables.md, gain.svg; default the folder of the runs

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' runs=runs/recipe_study results='' config=quickstart minutes=0
sizes=3x64x4,4x128x8,6x160x10 tokens=2M,800K,250K sequences=2000 jobs=2
take_arguments "data holdout runs results config sizes tokens sequences jobs minutes" "" "" "$@"
[ -n "$data" ] && [ -n "$holdout" ] || fail "--data and --holdout are needed" "See $0 --help"
results=${results:-$runs}
require_esmscale
require_dataset "$data" "Make one with esmscale prepare"
require_dataset "$holdout" "Make one with esmscale prepare"

mkdir -p "$runs" "$results"
stoppable esmtools study.recipe train "$esmscale" "$data" "$holdout" "$runs" --config "$config" --sizes "$sizes" \
  --tokens "$tokens" --sequences "$sequences" --jobs "$jobs" --minutes "$minutes"
esmtools study.recipe sum-up "$runs" "$results" --sizes "$sizes" --tokens "$tokens"
