#!/usr/bin/env bash
# What a recipe of training is worth: the same tokens, the same model, the same order of sequences, and the loss on the same
# masks of one holdout, paired by sequence. Safe to run again: finished runs are kept, one that was stopped is resumed.
#
#   scripts/recipe_study.sh --data DIR --holdout DIR [--runs DIR] [--results DIR] [--config FILE]
#                           [--tokens D] [--seeds N] [--threads T]
#
# The recipes, all with the initialisation and the batch of --config (default: configs/quickstart.json):
#   adam-4e-3, adam-2e-3      Adam at two learning rates, masks of 15%: the first is the quickstart's
#   normuon                   NorMuon at 6e-3, Adam for the rest at 2e-3, masks of 15%
#   normuon-mask20            the same with masks of 20%; every recipe is scored on masks of 15%
#
# --runs      default runs/recipe_study
# --results   recipe.json and README.md; default the folder of the runs
# --tokens    of each run; default 1M. --seeds: of each recipe; default 2. --threads: of a run; default 1

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' runs=runs/recipe_study results='' config=configs/quickstart.json tokens=1M seeds=2 threads=1
take_arguments "data holdout runs results config tokens seeds threads" "" "" "$@"
[ -n "$data" ] && [ -n "$holdout" ] || fail "--data and --holdout are needed" "See $0 --help"
results=${results:-$runs}
require_esmscale
require_dataset "$data" "Make one with esmscale prepare"
require_dataset "$holdout" "Make one with esmscale prepare"

normuon=(optimizer.name=normuon optimizer.lr=0.002 optimizer.matrix_lr=0.006)
declare -A settings=(
  [adam-4e-3]="optimizer.lr=0.004"
  [adam-2e-3]="optimizer.lr=0.002"
  [normuon]="${normuon[*]}"
  [normuon-mask20]="${normuon[*]} masking.mlm_probability=0.2"
)
recipes=(adam-4e-3 adam-2e-3 normuon normuon-mask20)

train() { # RECIPE SEED
  local arguments=() setting
  for setting in ${settings[$1]} train.seed="$2" train.max_tokens="$tokens"; do arguments+=(--set "$setting"); done
  stoppable "$esmscale" train --config "$config" --data "$data" --holdout "$holdout" --device cpu --threads "$threads" \
    --log-level warning --output "$runs/$1-s$2" "${arguments[@]}"
}

compare() { # RECIPE SEED: with the first recipe
  local file=$results/$1-s$2.json
  [ -s "$file" ] && return
  "$esmscale" eval --checkpoint "$runs/$1-s$2" --checkpoint "$runs/${recipes[0]}-s$2" --holdout "$holdout" --device cpu \
    --threads "$threads" --log-level warning --json >"$file.partial"
  mv "$file.partial" "$file"
}

mkdir -p "$runs" "$results"
for seed in $(seq "$seeds"); do
  for recipe in "${recipes[@]}"; do
    say "$recipe, seed $seed"
    train "$recipe" "$seed"
    [ "$recipe" = "${recipes[0]}" ] || compare "$recipe" "$seed"
  done
done
esmtools study.recipe "$runs" "$results" "$seeds" "${recipes[@]}"
