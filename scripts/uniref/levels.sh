#!/usr/bin/env bash
# Clusters proteins to falling identities with MMseqs2, each level from the representatives of the one above, and
# prepares a data set of each: UniRef50's way down to 20%. Safe to run again: finished levels are kept, and one that
# was stopped is resumed from MMseqs2's own temporary files.
#
#   scripts/uniref/levels.sh INPUT OUTPUT [--levels 0.5,0.4,0.3,0.2] [--given 0.5] [--method cluster|linclust]
#                            [--threads N] [--memory SIZE] [--seed S] [-- MMSEQS OPTIONS]
#
# INPUT       FASTA, plain or .gz
# --given I   INPUT is clustered at I already (UniRef50: 0.5): it is prepared as that level first
# --method    cluster (default) finds remote pairs; linclust is fast, and misses them below 50%
# --memory    MMseqs2's own limit (10G); default: what the machine has
#
# OUTPUT/level50   representatives.fasta, clusters.tsv (representative, member), level.json (what it took),
#                  dataset (shuffled tokens)
# OUTPUT/levels.md the table

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/mmseqs.sh"
source "$scripts/lib/program.sh"

input='' output='' levels=0.5,0.4,0.3,0.2 given='' method=cluster threads=$(nproc) memory=0 seed=1
take_arguments "levels given method threads memory seed" "" "input output" "$@"
[ -n "$output" ] || fail "INPUT and OUTPUT are needed" "See scripts/uniref/levels.sh --help"
[ -s "$input" ] || fail "there is no FASTA in $input"

# What a level takes for each byte of FASTA: measured on parts of Swiss-Prot (docs/data.md: disk 1.6 to
# 2.6 a byte, memory 0.92 GB and 2.5 to 6.7 a byte), with room for the disk.
DISK_PER_BYTE=4 MEMORY_LEAST=1000000000 MEMORY_PER_BYTE=6

level_folder() { printf '%s/level%s' "$output" "$(awk -v i="$1" 'BEGIN { printf "%g", 100 * i }')"; }

check_levels() {
  local level above=1.01
  for level in ${given:+"$given"} ${levels//,/ }; do
    awk -v a="$above" -v b="$level" 'BEGIN { exit !(b + 0 == b && b > 0 && b < a && b < 1) }' ||
      fail "--levels are ${given:+$given,}$levels" "They are shares such as 0.5, and each is below the one before"
    above=$level
  done
  case $method in cluster | linclust) ;; *) fail "--method is $method" "It is cluster or linclust" ;; esac
}

fasta_bytes() { # FILE; a compressed one holds about three times as much
  case $1 in *.gz) echo $((3 * $(stat -Lc %s "$1"))) ;; *) stat -Lc %s "$1" ;; esac
}

announce() { # FASTA LEVEL
  local bytes disk memory_bytes
  bytes=$(fasta_bytes "$1")
  disk=$((bytes * DISK_PER_BYTE))
  memory_bytes=$((MEMORY_LEAST + bytes * MEMORY_PER_BYTE))
  note "FASTA $(human_gb "$bytes"); $(human_gb "$disk") of disk while it runs, memory $(human_gb "$memory_bytes")," \
    "time about $(esmtools uniref.levels estimate "$2" "$bytes" "$threads") on $threads threads"
  require_free "$output" "$disk" "this level"
}

# A level belongs to the file that it was made from: a change above is found, not built upon.
source_of() { printf '%s %s' "$(stat -Lc %s "$1")" "$(head -c 1048576 "$1" | sha256sum | cut -c 1-16)"; } # FASTA

method_of() { # LEVEL
  local words="easy-$method --min-seq-id $1 -c 0.8 --cov-mode 0 ${rest[*]}"
  printf '%s' "${words% }"
}

cluster() { # FASTA LEVEL FOLDER
  local fasta=$1 level=$2 folder=$3 log=$3/mmseqs.log
  mkdir -p "$folder/work"
  esmtools uniref.measured "$folder/measured.json" "$folder" \
    mmseqs "easy-$method" "$fasta" "$folder/clusters" "$folder/work" --min-seq-id "$level" -c 0.8 --cov-mode 0 \
    --threads "$threads" --split-memory-limit "$memory" "${rest[@]}" >"$log" 2>&1 || {
    tail -n 15 "$log" | sed 's/^/    | /' >&2
    fail "MMseqs2 failed at level $level (log: $log)" "Run the same command again to resume;" \
      "if it fails in the same place, remove $folder first"
  }
}

keep_clusters() { # FASTA LEVEL FOLDER; only a complete result becomes a level
  local fasta=$1 level=$2 folder=$3
  esmtools uniref.levels record "$folder" "$level" "$(source_of "$fasta")" "$(mmseqs version)" \
    "$(method_of "$level")" <(show_file "$fasta") ||
    fail "what MMseqs2 wrote at level $level is not complete" "Remove $folder and run the same command again"
  mv "$folder/clusters_cluster.tsv" "$folder/clusters.tsv"
  mv "$folder/clusters_rep_seq.fasta" "$folder/representatives.fasta"
  rm -rf "$folder/clusters_all_seqs.fasta" "$folder/work" "$folder/measured.json"
  mv "$folder/level.json.partial" "$folder/level.json"
}

make_dataset() { # FASTA FOLDER
  if is_dataset "$2/dataset"; then
    note "$2/dataset is there"
  else
    "$esmscale" prepare --input "$1" --output "$2/dataset" --seed "$seed" --force --threads "$threads" >&2 ||
      fail "preparing $1 failed"
  fi
}

make_level() { # FASTA LEVEL
  local fasta=$1 level=$2 folder
  folder=$(level_folder "$level")
  mkdir -p "$folder"
  if [ -f "$folder/level.json" ]; then
    [ "$(json_value "$folder/level.json" source)" = "$(source_of "$fasta")" ] ||
      fail "$folder was made from another file than $fasta" "Remove it, or choose another OUTPUT"
    [ "$(json_value "$folder/level.json" method)" = "$(method_of "$level")" ] ||
      fail "$folder was made by $(json_value "$folder/level.json" method)" "Remove it, or choose another OUTPUT"
    note "$folder is there"
  else
    announce "$fasta" "$level"
    cluster "$fasta" "$level" "$folder"
    keep_clusters "$fasta" "$level" "$folder"
  fi
  make_dataset "$folder/representatives.fasta" "$folder"
}

check_levels
require_mmseqs
require_esmscale
mkdir -p "$output"
above=$input
if [ -n "$given" ]; then
  say "Level $given: $input as it is"
  bytes=$(fasta_bytes "$input") # the data set takes half a byte of each, and as much again while it is shuffled
  note "FASTA $(human_gb "$bytes"); $(human_gb "$bytes") of disk while it runs, and half of that after it"
  require_free "$output" "$bytes" "this level"
  make_dataset "$input" "$(level_folder "$given")"
fi
for level in ${levels//,/ }; do
  say "Level $level from $above"
  make_level "$above" "$level"
  above=$(level_folder "$level")/representatives.fasta
done
say "The levels"
esmtools uniref.levels table "$esmscale" "$output" ${given:+"$given"} ${levels//,/ } | tee "$output/levels.md"
