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

# seed FORMAT NAME FILE…: the seed's folder holds copies of the files.
seed() {
  local folder=$1/$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder"
  cp -r "$@" "$folder"
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

mkdir "$work/fasta" "$work/odd" "$work/gz" "$work/tiny"
cp "$work/in.fasta" "$work/fasta/in.fasta"
cp "$work/odd.fasta" "$work/odd/in.fasta"
gzip -nc "$work/in.fasta" >"$work/gz/in.fasta"
cp "$work/tiny.json" "$work/tiny/config.json"
seed dataset set "$work"/set/*
seed config tiny "$work/tiny/config.json"
seed config resolved "$work/run/config.json"
checkpoint=("$work"/run/checkpoints/step-*)
seed safetensors checkpoint "${checkpoint[0]}/tensors.safetensors"
seed safetensors model "$work/hf/model.safetensors"
seed checkpoint trained "${checkpoint[0]}"/*
seed hugging_face exported "$work"/hf/*
seed fasta plain "$work/fasta/in.fasta"
seed fasta odd "$work/odd/in.fasta"
seed fasta gzip "$work/gz/in.fasta"
seed points csv "$work/points.csv"
seed laws fitted "$work/laws/laws.json"
seed study planned "$work/study/study.json" "$work/study/state.json" "$work/study/configs"
seed run finished "$work/run/metrics.jsonl" "$work/run/environment.json"
du -sh .
