#!/usr/bin/env bash
# What a recipe of training is worth at 8M parameters, on one GPU in some minutes: Hugging Face's (AdamW, masks of 15%,
# its initialisation, linear decay to a tenth) at several rates against NorMuon with masks of 20% and decay to zero.
# Equal tokens, data, order and batch; every run is scored on the same masks of one holdout, by sequence. Safe to run
# again: finished runs are kept.
#
#   scripts/recipe_gpu.sh --data DIR --holdout DIR --runs DIR [--minutes 7] [--tokens 88M] [--batch 32768]
#                         [--config esm2_8M.json] [--device cuda] [--lanes 2] [--list]
#
# The runs are in the order of their worth, so that a stop at any time leaves pairs. --minutes: no run begins later than
# this. --lanes: runs at a time; a second fills the gaps of the first. --list prints the runs and starts none.
#
# RUNS/NAME-sSEED is a run folder, RUNS/NAME-sSEED.tsv its holdout losses by sequence, RUNS/NAME-sSEED.json the result.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

data='' holdout='' runs='' minutes=7 tokens=88M batch=32768 config=esm2_8M.json device=cuda lanes=2 list=''
take_arguments "data holdout runs minutes tokens batch config device lanes" list "" "$@"
[[ -n $data && -n $holdout && -n $runs ]] || fail "--data, --holdout and --runs are needed" "See $0 --help"

common="train.epochs=100 train.batch_tokens=$batch train.micro_batch_tokens=$batch checkpoint.every_minutes=0"
common+=" log.every_steps=50 schedule.name=linear schedule.warmup_tokens=2M"
hf="$common optimizer.name=adamw optimizer.weight_decay=0.01 model.init.scheme=hf schedule.decay_factor=0.1"
start="$common model.init.decoder_bias=frequencies schedule.decay_factor=0"
ours="$start optimizer.name=normuon"
masks=masking.mlm_probability=0.2
twice="train.max_tokens=$((2 * ${tokens%M}))M"
# NAME SEED SETTINGS…; by the rule 6e-3 · (batch / 2^20)^0.2 the matrices' rate is 3e-3 at 32,768 tokens.
all_runs=(
  "hf-2e-3 1 $hf optimizer.lr=2e-3"
  "ours-3e-3-2e-3 1 $ours $masks optimizer.matrix_lr=3e-3 optimizer.lr=2e-3"
  "hf-4e-3 1 $hf optimizer.lr=4e-3"
  "ours-6e-3-2e-3 1 $ours $masks optimizer.matrix_lr=6e-3 optimizer.lr=2e-3"
  "hf-1e-3 1 $hf optimizer.lr=1e-3"
  "ours-3e-3-4e-3 1 $ours $masks optimizer.matrix_lr=3e-3 optimizer.lr=4e-3"
  "hf-2e-3 2 $hf optimizer.lr=2e-3"
  "ours-3e-3-2e-3 2 $ours $masks optimizer.matrix_lr=3e-3 optimizer.lr=2e-3"
  "hf-2e-3-twice 1 $hf optimizer.lr=2e-3 $twice"
  "hf-4e-3 2 $hf optimizer.lr=4e-3"
  "ours-6e-3-2e-3 2 $ours $masks optimizer.matrix_lr=6e-3 optimizer.lr=2e-3"
  "hf-4e-3-twice 1 $hf optimizer.lr=4e-3 $twice"
  "masks-15 1 $ours optimizer.matrix_lr=3e-3 optimizer.lr=2e-3"
  "adam 1 $start $masks optimizer.name=adam optimizer.lr=2e-3"
  "tenth 1 $ours $masks optimizer.matrix_lr=3e-3 optimizer.lr=2e-3 schedule.decay_factor=0.1"
  "masks-25 1 $ours masking.mlm_probability=0.25 optimizer.matrix_lr=3e-3 optimizer.lr=2e-3"
)
if [ -n "$list" ]; then
  printf '%s\n' "${all_runs[@]}"
  exit
fi
require_esmscale
require_dataset "$data" "Make one with esmscale prepare"
require_dataset "$holdout" "Make one with esmscale prepare"
mkdir -p "$runs"
deadline=$((SECONDS + $(awk -v m="$minutes" 'BEGIN { print int(60 * m) }')))

one_run() { # NAME SEED SETTINGS…
  local name=$1-s$2 arguments=(--set "train.seed=$2" --set "train.max_tokens=$tokens") setting
  shift 2
  for setting in "$@"; do arguments+=(--set "$setting"); done
  [ ! -s "$runs/$name.json" ] || return 0
  "$esmscale" train --config "$config" --data "$data" --holdout "$holdout" --device "$device" --output "$runs/$name" \
    --log-level warning "${arguments[@]}" >/dev/null || return
  rm -f "$runs/$name.tsv"
  "$esmscale" eval --checkpoint "$runs/$name" --holdout "$holdout" --device "$device" --log-level warning --json \
    --per-sequence "$runs/$name.tsv" >"$runs/$name.json.partial" || return
  mv "$runs/$name.json.partial" "$runs/$name.json"
  note "$name $(json_value "$runs/$name.json" loss loss_mask_only) ($SECONDS s)"
}

# A lane takes every LANESth run, so the order of worth is kept.
lane() { # INDEX
  local index words
  for ((index = $1; index < ${#all_runs[@]} && SECONDS < deadline; index += lanes)); do
    read -ra words <<<"${all_runs[index]}"
    one_run "${words[@]}" || note "${words[0]}, seed ${words[1]}: failed"
  done
}

for ((i = 0; i < lanes; i++)); do lane "$i" & done
wait
