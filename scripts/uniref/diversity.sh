#!/usr/bin/env bash
# What diversity is worth: one small model trained on each level of clustering and on a random sample of the 50% level
# of the same size, for the same tokens, and its losses on the checked and on the random holdout side by side. Two cores
# need about an hour and a half. Safe to run again: finished runs are kept, a stopped one is resumed.
#
#   scripts/uniref/diversity.sh [--levels DIR] [--tokens N] [--config FILE] [--seeds 1,2] [--output DIR] [--results DIR]
#
# --levels  what levels.sh wrote, with level50/{train,holdout,holdout_random,drawn.txt} of holdout.sh
# --tokens  30M; more than one epoch of the smallest level, or all samples, being prefixes, see the same sequences
# --output  runs/diversity; --results docs/data/diversity: results.json and the table
#
# Each level trains on its representatives without the candidates that the holdout was drawn from, so every training
# set is a part of level50/train, which the holdout was checked against; the reports say so.

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

levels=$ROOT/data/swissprot tokens=30M config=$ROOT/configs/studies/diversity.json seeds=1
output=$ROOT/runs/diversity results=$ROOT/docs/data/diversity
take_arguments "levels tokens config seeds output results" "" "" "$@"
require_esmscale
split=$levels/level50
for set in train holdout holdout_random; do
  [ -f "$split/$set/manifest.json" ] || fail "there is no data set in $split/$set" \
    "Make it with scripts/uniref/levels.sh and scripts/uniref/holdout.sh"
done

# The 50% level without the candidates: otherwise a level could hold sequences that the holdout was not checked against.
check_split() {
  local all training drawn
  all=$(grep -c '^>' "$split/representatives.fasta") || fail "there is no $split/representatives.fasta" \
    "Make it with scripts/uniref/levels.sh"
  training=$(dataset_values "$split/train" sequences)
  drawn=$(wc -l <"$split/drawn.txt")
  [ $((all - drawn)) -eq "$training" ] ||
    fail "$split/train has $training of the $all sequences of the level, and $drawn were drawn for the holdout" \
      "Make it with scripts/uniref/holdout.sh without --train"
}

# Representatives of a level that are not candidates of the holdout.
make_level() { # NUMBER
  local folder=$levels/level$1 drawn
  drawn=$(sha256sum <"$split/drawn.txt" | cut -c 1-16)
  if is_dataset "$folder/train" && [ "$(cat "$folder/train_without" 2>/dev/null)" = "$drawn" ]; then
    note "$folder/train is there"
  else
    rm -f "$folder/train_without"
    "$esmscale" prepare --input "$folder/representatives.fasta" --exclude "$split/drawn.txt" --output "$folder/train" \
      --force >&2 || fail "preparing $folder/train failed"
    echo "$drawn" >"$folder/train_without"
  fi
}

# The holdouts were checked against a set that has all of theirs. Sets sizes, of the levels.
extend_reports() { # LEVELS…
  local name level hash values hashes=()
  for level in "$@"; do
    values=$(dataset_values "$levels/level$level/train" hash sequences) || fail "there is no $levels/level$level/train"
    read -r hash "sizes[$level]" <<<"$values"
    hashes+=("$hash")
  done
  for name in holdout holdout_random; do
    "$esmscale" info "$split/$name" --json | esmtools uniref.diversity extend "${hashes[@]}" >"$output/$name.json"
    "$esmscale" prepare --output "$split/$name" --attach-report "$output/$name.json" >/dev/null
  done
}

train() { # NAME DATA SEQUENCES SEED
  local run=$output/$1_s$4
  stoppable "$esmscale" train --config "$config" --data "$2" --output "$run" --device cpu --set "data.sequences=$3" \
    --set "train.max_tokens=$tokens" --set train.epochs=1000 --set "train.seed=$4" >/dev/null ||
    fail "training $run failed"
}

# Losses of a run; of two, with their difference, paired by sequence. Into the first one's folder.
evaluate() { # RUN…
  local name file run checkpoints=()
  for run in "$@"; do checkpoints+=(--checkpoint "$output/$run"); done
  for name in holdout holdout_random; do
    file=$output/$1/$name.json
    [ -s "$file" ] && continue
    "$esmscale" eval "${checkpoints[@]}" --holdout "$split/$name" --device cpu --json >"$file.partial" ||
      fail "scoring $* on $split/$name failed"
    mv "$file.partial" "$file"
  done
}

mkdir -p "$output" "$results"
sizes=()
say "Training sets"
check_split
for level in 40 30 20; do make_level $level; done
extend_reports 40 30 20
for seed in ${seeds//,/ }; do
  say "Training on $tokens tokens of each set, seed $seed"
  train level50 "$split/train" 0 "$seed"
  evaluate "level50_s$seed"
  for level in 40 30 20; do
    train "level$level" "$levels/level$level/train" 0 "$seed"
    train "sample$level" "$split/train" "${sizes[level]}" "$seed"
    evaluate "level${level}_s$seed" "sample${level}_s$seed"
  done
done
say "Side by side"
esmtools uniref.diversity table "$output" "$results/results.json" "$seeds" | tee "$results/table.md"
