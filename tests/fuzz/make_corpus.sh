#!/usr/bin/env bash
# make_corpus.sh PROGRAM: writes the seeds of tests/fuzz/corpus anew, with the program itself. Folders named failed-*
# hold inputs that a reader once failed on, and stay.
set -euo pipefail
program=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p corpus
cd corpus
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# seed FORMAT NAME FILE…: the seed's folder holds copies of the files; of FILE=NAME by another name.
seed() {
  local folder=$1/$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder"
  for file in "$@"; do
    cp -r "${file%=*}" "$folder/$([[ $file == *=* ]] && echo "${file##*=}")"
  done
}

make() { "$program" "$@" --log-level error >"$work/words"; }

letters=ACDEFGHIKLMN
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
  printf ">p%s protein\nMKVLATGDEERW%s\nYHHQNPSTCIFMKLLX\n" "$n" "${letters:0:$n}"
done >"$work/in.fasta"
printf '>a\r\nMK-V*\r\n\r\n>b|x y\nmkjbzuo*\n>\nAAA\n' >"$work/odd.fasta"
make prepare --input "$work/in.fasta" --output "$work/set" --holdout 3 --holdout-output "$work/holdout"
cat >"$work/tiny.json" <<'END'
// A model of some thousand parameters.
{"model": {"name": "tiny", "layers": 1, "width": 8, "heads": 1}, "data": {"max_seq_len": 48},
 "train": {"batch_tokens": 192, "micro_batch_tokens": 192, "pack_tokens": 96}, "log": {"every_steps": 1}}
END
make train --config "$work/tiny.json" --data "$work/set" --holdout "$work/holdout" --output "$work/run" --device cpu \
  --threads 1 --set eval.every_tokens=200
make export "$work/run" --output "$work/hf"
cat >"$work/points.csv" <<'END'
run,parameters,tokens,loss,flops,budget,seed
a,1e6,1e8,3.0,6e14,6e14,1
b,2e6,1e8,2.9,1.2e15,1.2e15,1
c,4e6,2e8,2.8,4.8e15,4.8e15,1
d,8e6,2e8,2.7,9.6e15,9.6e15,1
e,2e6,5e7,3.05,6e14,6e14,1
f,5e5,2e8,3.1,6e14,6e14,1
g,4e6,2.5e7,3.2,6e14,6e14,1
END
make fit --points "$work/points.csv" --bootstrap 3 --output "$work/laws"
make study plan "$work/study" --isoflop 3e9 --models 4 --centre 30000 --replicates 0 --max-seq-len 64 --precision fp32 \
  --batch-tokens 256 --unique-tokens 2800 --no-lr-sweep
# Its checksum is written into it when it is read.
cat >"$work/study/state.json" <<'END'
{"format": "esmscale study state 3", "data": "x", "holdout": "y", "device": "cpu", "settings": ["a.b=1"],
 "learning_rate": {"factor": 2, "trials": [{"run": "a", "factor": 2, "loss": 2.5}], "warnings": []},
 "failures": {"a": "error: was killed by signal 9"}, "killed": ["a"], "seconds": {"a": 1.5}, "running": {"b": {"since": 5}},
 "jobs": ["12"]}
END

# Lists and tables of prepare.
for n in 1 2 3 4 5 6 7 8 9 10 11; do
  printf 'p%s\tp%s\n' "$(((n + 2) / 3))" "$n"
done >"$work/members.tsv"
printf '>p3 protein\np5\r\n\n  p12\tP\n' >"$work/exclude.txt"
printf 'id,note,seq\r\na first,"x, y",mkv*\r\n\r\nb,,MJL-K\n,z,\n' >"$work/quoted.csv"
printf 'seq\tid\nMKVLATGDEERW\ta\nMKLLW\tb\n' >"$work/plain.tsv"
make prepare --input "$work/in.fasta" --output "$work/clustered" --clusters "$work/members.tsv"
cat >"$work/report.json" <<'END'
{"training_hash": "0123456789abcdef0123456789abcdef", "largest_identity": 0.93, "identity_limit": 0.5, "above_limit": 2,
 "subset_hashes": ["fedcba9876543210fedcba9876543210"], "split": "random split, homologues present"}
END
# A law that every use finds what it needs in: minima of four budgets, and enough draws for intervals.
awk 'BEGIN {
  print "run,parameters,tokens,loss,flops,budget,seed"
  for (b = 0; b < 4; ++b) for (k = -2; k <= 2; ++k) {
    C = 1e15 * 10 ^ (b / 2); N = sqrt(C / 120) * 2 ^ (k / 2); D = C / 6 / N
    L = 1.8 + 60 / N ^ 0.34 + 60 / D ^ 0.28 + 0.0003 * ((b * 7 + k * 13 + 39) % 5)
    printf "b%dk%d,%.6g,%.6g,%.6f,%.6g,%.6g,1\n", b, k + 2, N, D, L, C, C
  }
}' >"$work/profiles.csv"
make fit --points "$work/profiles.csv" --bootstrap 20 --output "$work/profiles"

# Assays, structures, and what is computed from a model.
cat >"$work/substitutions.csv" <<'END'
mutant,mutated_sequence,DMS_score,DMS_score_bin
A4G,MKTGYIAKQRW,0.5,1
K2R:I6V,MRTAYVAKQRW,-1e-3,0
Y5F,MKTAFIAKQRW,1.25,1
END
printf 'mutated_sequence;DMS_score\nMKTGYIAKQRW;1\nMKTAAYIAKQRW;-2.5\nMKYIAKQRW;0\n' >"$work/indels.csv"
printf '>target\nMKTAYIAKQRW\n' >"$work/target.fasta"
cat >"$work/DMS_substitutions.csv" <<'END'
DMS_id,DMS_filename,UniProt_ID,taxon,target_seq,MSA_Neff_L_category,coarse_selection_type
A,A.csv,P1,Human,MKTAYIAKQRW,medium,Activity
"B",B.csv,P2,Virus,MKTAYIAKQRW,,Stability
END
mkdir -p "$work/gym/assays"
cp "$work/DMS_substitutions.csv" "$work/gym"
cp "$work/substitutions.csv" "$work/gym/assays/A.csv"
printf 'mutant,DMS_score\nA4G,1\nK2R,2\n' >"$work/gym/B.csv"
make score --checkpoint "$work/run" --proteingym "$work/gym" --output "$work/scored" --bootstrap 3 --device cpu --threads 1
make embed --checkpoint "$work/run" --input "$work/in.fasta" --output "$work/shards" --shard-size 128 --batch-rows 64 \
  --device cpu --threads 1
make embed --checkpoint "$work/run" --input "$work/in.fasta" --output "$work/matrix" --format npy --device cpu --threads 1
make eval --checkpoint "$work/run" --holdout "$work/holdout" --per-sequence "$work/scores.tsv" --device cpu --threads 1
printf 'sequence\tidentifier\tpattern\ttokens\tmasked\tloss_sum\tbaseline_sum\thits\n0\tP1\tbert\t40\t6\t15.5\t16.5\t2\n' \
  >"$work/earlier.tsv"
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do printf 'p%s\tf%s\t0.%s\n' "$n" "$((n % 3))" "$n"; done |
  { printf 'identifier\tfamily\tidentity\n' && cat; } >"$work/groups.tsv"
# Of the protein KMGTAY.
atoms=("CA MET 11 0.0" "CB MET 11 1.0" "CA GLY 12 5.0" "CA THR 13 9.0" "CB THR 13 9.5" "CA ALA 14 30.0" "CB ALA 14 16.0")
columns=(group_PDB label_atom_id label_comp_id auth_asym_id auth_seq_id Cartn_x Cartn_y Cartn_z)
{
  printf 'data_X\nloop_\n'
  printf '_atom_site.%s\n' "${columns[@]}"
  for atom in "${atoms[@]}"; do
    read -r name residue number x <<<"$atom"
    echo "ATOM $name $residue A $number $x 0.0 -1.5"
  done
  echo '#'
} >"$work/protein.cif"
for atom in "${atoms[@]}"; do
  read -r name residue number x <<<"$atom"
  printf 'ATOM  %5d  %-3s %3s A%4d    %8.3f%8.3f%8.3f  1.00 10.00           C\n' 1 "$name" "$residue" "$number" "$x" 0 -1.5
done >"$work/protein.pdb"
printf 'HETATM    9  SE  MSE A  15       1.000   2.000   3.000\nENDMDL\n' >>"$work/protein.pdb"
printf '# i j\n1 6\n5,2\n\n' >"$work/contacts.txt"
# The exported model in two files, with the index that names them.
mkdir "$work/sharded"
cp "$work"/hf/{config.json,vocab.txt} "$work/sharded"
PYTHONPATH=../../../scripts PYTHONDONTWRITEBYTECODE=1 python3 -m esmtools.shard_model "$work/hf/model.safetensors" \
  "$work/sharded"
cat >"$work/commented.json" <<'END'
/* Two kinds of comments, and a value of each type. */
{
  "model": {"name": "tiny", "layers": 1, "width": 8, "heads": 1, "token_dropout": false}, // a group
  "data": {"max_seq_len": 48 /* rows */},
  // The last lines have nothing.
  "optimizer": {"lr": 1e-3},
  "train": {"batch_tokens": 192, "micro_batch_tokens": 192, "pack_tokens": 96}
}
// The end.
END

echo '{"host": "another", "job": "7", "renewed": 1700000000.5}' >"$work/lease.json"

mkdir "$work/fasta" "$work/odd" "$work/gz" "$work/zst" "$work/tiny"
cp "$work/in.fasta" "$work/fasta/in.fasta"
cp "$work/odd.fasta" "$work/odd/in.fasta"
gzip -nc "$work/in.fasta" >"$work/gz/in.fasta"
zstd -qc "$work/in.fasta" >"$work/zst/in.fasta"
cp "$work/tiny.json" "$work/tiny/config.json"
seed dataset set "$work"/set/*
seed config tiny "$work/tiny/config.json"
seed config commented "$work/commented.json=config.json"
seed config resolved "$work/run/config.json"
checkpoint=("$work"/run/checkpoints/step-*)
seed safetensors checkpoint "${checkpoint[0]}/tensors.safetensors"
seed safetensors model "$work/hf/model.safetensors"
seed checkpoint trained "${checkpoint[0]}"/*
seed hugging_face exported "$work"/hf/*
seed fasta plain "$work/fasta/in.fasta"
seed fasta odd "$work/odd/in.fasta"
seed fasta gzip "$work/gz/in.fasta"
seed fasta zstd "$work/zst/in.fasta"
seed points csv "$work/points.csv"
seed laws fitted "$work/laws/laws.json"
seed laws profiles "$work/profiles/laws.json"
seed study planned "$work/study/study.json" "$work/study/state.json" "$work/study/configs"
seed run finished "$work/run/metrics.jsonl" "$work/run/environment.json"
seed dataset clustered "$work"/clustered/*
seed holdout_report whole "$work/holdout/manifest.json" "$work/report.json"
seed sequence_table commas "$work/quoted.csv=in.table"
seed sequence_table tabs "$work/plain.tsv=in.table"
seed cluster_members tabs "$work/members.tsv"
gzip -nc "$work/members.tsv" >"$work/members.gz"
seed cluster_members gzip "$work/members.gz=members.tsv"
seed excluded list "$work/exclude.txt"
seed lease another "$work/lease.json"
seed assay substitutions "$work/substitutions.csv=scan.csv"
seed assay indels "$work/indels.csv=scan.csv" "$work/target.fasta=scan.fasta"
seed proteingym whole "$work"/gym/*
seed proteingym_results scored "$work/scored/proteingym.json"
seed embeddings shards "$work/shards/embed.json"
seed embeddings matrix "$work/matrix/embed.json"
seed hugging_face sharded "$work"/sharded/*
seed structure protein "$work"/protein.{pdb,cif} "$work/contacts.txt"
seed per_sequence run "$work/run/per_sequence.tsv"
seed per_sequence eval "$work/scores.tsv=per_sequence.tsv"
seed per_sequence earlier "$work/earlier.tsv=per_sequence.tsv"
seed groups families "$work/groups.tsv" "$work/holdout"
du -sh .
