#!/usr/bin/env bash
# A training set and a holdout whose distance from it is checked: candidates from the end of a shuffled data set are
# searched against the training set with MMseqs2, and those with a neighbour there are dropped from the holdout, never
# from training. Safe to run again: searches that are done are kept.
#
#   scripts/uniref/holdout.sh DATASET --output DIR [--size 8000] [--identity 0.5] [--train N]
#                             [--coverage 0.8] [--min-length 50] [--eval-length N] [--threads N] [--memory SIZE]
#
# A neighbour is a hit of  mmseqs search -s 7.5 --max-seqs 1000 -e 1e-3 --alignment-mode 3  with an identity above
# --identity over at least --coverage of either sequence. The holdout has none in the training set, and no two of its
# sequences are neighbours. Sequences below --min-length have no E-value to speak of, so they are not held out.
#
# --train N        the training set is the first N of DATASET; default: all except the candidates that were drawn
# --eval-length N  residues of an evaluation window; default DATASET's. A model trained on crops of 256 rows wants 254
#
# DIR/train           the first N of DATASET in the same order, so prefixes of it are prefixes of DATASET
# DIR/holdout         SIZE checked sequences; its manifest carries the report
# DIR/holdout_random  SIZE candidates as they came, and how near they are: a random split of the same data
# DIR/holdout.identity.csv, holdout_random.identity.csv   the largest identity of each sequence to the training set, for
#                     esmscale eval --groups: the loss by identity
# DIR/drawn.txt       identifiers of all candidates: what no other training set may hold
# DIR/report.json     the distribution of identities, of both
# DIR/identity.svg    its picture, if Python has matplotlib

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/mmseqs.sh"
source "$scripts/lib/program.sh"

dataset='' output='' size=8000 identity=0.5 train=0 coverage=0.8 min_length=50 eval_length='' threads=$(nproc) memory=0
take_arguments "output size identity train coverage min-length eval-length threads memory" "" dataset "$@"
[ -n "$dataset" ] && [ -n "$output" ] || fail "DATASET and --output are needed" "See scripts/uniref/holdout.sh --help"
work=$output/.search

numbered() { awk '/^>/ { print ">" n++; next } 1' n="$1"; } # FIRST; headers become places in DATASET

make_aside() { # FILE COMMAND…: the file is there when it is whole
  local file=$1
  shift
  [ -s "$file" ] || { "$@" >"$file.partial" && mv "$file.partial" "$file"; }
}

write_numbered() { "$esmscale" fasta "$dataset" --range "$1:$2" | numbered "$1"; } # BEGIN END

search() { # QUERIES TARGETS HITS
  [ -e "$3" ] && return
  rm -rf "$work/tmp"
  with_log "$work/mmseqs.log" mmseqs easy-search "$1" "$2" "$3.partial" "$work/tmp" -s 7.5 --max-seqs 1000 -e 1e-3 \
    --alignment-mode 3 --threads "$threads" --split-memory-limit "$memory" \
    --format-output query,target,fident,alnlen,qcov,tcov,evalue,bits ||
    fail "MMseqs2 failed (log: $work/mmseqs.log)" "Run the same command again to resume"
  mv "$3.partial" "$3"
}

check_request() {
  local values
  values=$(dataset_values "$dataset" sequences residues seed eval_length hash) ||
    fail "there is no prepared data set in $dataset" "Make it with esmscale prepare"
  read -r total residues seed own_eval_length dataset_hash <<<"$values"
  eval_length=${eval_length:-$own_eval_length}
  for value in size train min_length eval_length threads; do
    [[ ${!value} =~ ^[0-9]+$ ]] || fail "--${value//_/-} is ${!value}, not a count"
  done
  for value in identity coverage; do
    awk -v x="${!value}" 'BEGIN { exit !(x + 0 == x && x > 0 && x < 1) }' || fail "--$value is ${!value}, not in 0 to 1"
  done
  [ "$size" -ge 1 ] || fail "--size is 0: nothing would be held out"
  if [ "$train" -gt 0 ]; then
    furthest=$((total - train))
    [ "$train" -lt "$total" ] || fail "--train is $train, and $dataset holds $total sequences" \
      "Candidates come from beyond the training set"
  else
    furthest=$((total / 2)) # the training set keeps half at least
  fi
  [ "$size" -le "$furthest" ] || fail "--size is $size, and there are $furthest candidates in the $total sequences" \
    "Hold out fewer${train:+, or give a smaller --train}"
}

is_there() {
  local name
  [ -f "$output/report.json" ] && [ "$(json_value "$output/report.json" settings)" = "$settings" ] || return 1
  for name in train holdout holdout_random; do is_dataset "$output/$name" || return 1; done
}

# Other settings make other searches.
keep_or_clear() {
  [ ! -d "$work" ] || [ "$(cat "$work/settings" 2>/dev/null)" = "$settings" ] || rm -rf "$work"
  mkdir -p "$work"
  printf '%s\n' "$settings" >"$work/settings"
}

announce() {
  local bytes=$((residues + 20 * total))
  note "$total sequences; $(human_gb $((3 * bytes))) of disk while it runs"
  require_free "$output" $((3 * bytes)) "the search"
}

# One round: candidates [begin, end) against the training set, and against all candidates so far.
draw() { # BEGIN END
  note "candidates $1 to $2: searching"
  make_aside "$work/candidates-$1.fasta" write_numbered "$1" "$2"
  if [ ! -e "$work/train.dbtype" ]; then
    make_aside "$work/train.fasta" write_numbered 0 "$((train > 0 ? train : $1))"
    with_log "$work/mmseqs.log" mmseqs createdb "$work/train.fasta" "$work/train" ||
      fail "MMseqs2 failed (log: $work/mmseqs.log)"
    rm "$work/train.fasta"
  fi
  search "$work/candidates-$1.fasta" "$work/train" "$work/train-$1.hits"
  cat "$work"/candidates-*.fasta >"$work/all.fasta"
  search "$work/candidates-$1.fasta" "$work/all.fasta" "$work/self-$1.hits"
}

decide() { # BEGIN
  esmtools uniref.holdout decide "$work" --begin "$1" --size "$size" --identity "$identity" --coverage "$coverage" \
    --min-length "$min_length" --train "$((train > 0 ? train : $1))"
}

find_holdout() {
  local begin=$total end wanted=$((size + size / 4 + 20)) accepted=0
  while :; do
    end=$begin
    begin=$((begin - wanted > total - furthest ? begin - wanted : total - furthest))
    draw "$begin" "$end"
    accepted=$(decide "$begin")
    note "$accepted of $((total - begin)) candidates are in the holdout"
    [ "$accepted" -lt "$size" ] && [ "$begin" -gt $((total - furthest)) ] || break
    wanted=$(((size - accepted) * (total - begin) * 11 / (accepted + 1) / 10 + 20))
  done
  [ "$accepted" -gt 0 ] || fail "every candidate has a neighbour above $identity in the training set" \
    "Cluster the data set first (scripts/uniref/levels.sh), or give a larger --identity"
  [ "$accepted" -ge "$size" ] || note "shortfall: $accepted sequences instead of $size, and no candidate is left"
  candidates_begin=$begin
}

make_set() { # NAME FASTA-COMMAND…; by way of a file, so that a command that fails half way makes no set
  local name=$1
  shift
  make_aside "$work/$name.fasta" "$@" || fail "reading $dataset failed"
  "$esmscale" prepare --input "$work/$name.fasta" --keep-order --seed "$seed" --output "$output/$name" \
    --eval-length "$eval_length" --threads "$threads" --force >&2 ||
    fail "writing $output/$name failed"
  rm "$work/$name.fasta"
}

pick() { # NUMBERS; of the candidates
  "$esmscale" fasta "$dataset" --range "$candidates_begin:$total" | esmtools uniref.holdout pick "$1" "$candidates_begin"
}

write_sets() {
  make_set train "$esmscale" fasta "$dataset" --range "0:$((train > 0 ? train : candidates_begin))"
  make_set holdout pick "$work/holdout.numbers"
  make_set holdout_random pick "$work/random.numbers"
  "$esmscale" fasta "$dataset" --range "$candidates_begin:$total" | sed -n 's/^>\([^ ]*\).*/\1/p' >"$output/drawn.txt"
  local training_hash
  training_hash=$(dataset_values "$output/train" hash)
  for name in holdout holdout_random; do
    esmtools uniref.holdout report "$work" "$name" "$training_hash" "$(mmseqs version)" >"$work/$name.json"
    "$esmscale" prepare --output "$output/$name" --attach-report "$work/$name.json" >/dev/null
    "$esmscale" fasta "$output/$name" | sed -n 's/^>\([^ ]*\).*/\1/p' |
      esmtools uniref.holdout identities "$work" "$name" "$output/$name.identity.csv"
  done
}

require_mmseqs
require_esmscale
check_request
mkdir -p "$output"
say "A holdout of $size from $dataset, at identity $identity"
settings="$dataset_hash $size $identity $train $coverage $min_length $eval_length $(mmseqs version)"
if is_there; then
  note "$output is there"
  exit 0
fi
keep_or_clear
announce
find_holdout
say "Writing $output/train, holdout and holdout_random"
write_sets
esmtools uniref.holdout summary "$work/holdout.json" "$work/holdout_random.json" "$output/report.json" "$settings"
esmtools plots.identity "$output/report.json" "$output/identity.svg"
rm -rf "$work"
