# Small runs on the cluster of cluster.sh: what they train, how they are submitted, and what they left. Sourced.

# 380 random proteins and a two-layer model: some hundreds of steps in a few seconds, every one logged.
prepare_training() {
  export TRAIN=$CLUSTER/train HOLDOUT=$CLUSTER/holdout CONFIG=$CLUSTER/tiny.json
  random_proteins 400 60 >"$CLUSTER/proteins.fasta"
  with_log "$CLUSTER/prepare.log" "$ESMSCALE" prepare --input "$CLUSTER/proteins.fasta" --output "$TRAIN" \
    --holdout 20 --holdout-output "$HOLDOUT"
  cat >"$CONFIG" <<'JSON'
{
  "model": {"name": "tiny", "layers": 2, "width": 32, "heads": 2}, "data": {"max_seq_len": 64},
  "train": {"batch_tokens": 512, "pack_tokens": 128, "epochs": 1000, "max_tokens": 250000},
  "checkpoint": {"every_minutes": 0}
}
JSON
}

train_arguments=(--device cpu --threads 1)

# The undisturbed run, without SLURM.
train_here() { # RANKS RUN [MORE…]
  local ranks=$1 run=$2
  shift 2
  with_log "$run.log" timeout 120 "$ESMSCALE" train --config "$CONFIG" --data "$TRAIN" --holdout "$HOLDOUT" --output "$run" \
    --ranks "$ranks" "${train_arguments[@]}" --set log.every_steps=1 "$@"
}

# submit NODES RUN [MORE…]: one rank a node; prints the job's number. The log of all its starts is RUN.log.
submit() {
  local nodes=$1 run=$2
  shift 2
  sbatch --parsable --nodes="$nodes" --ntasks-per-node=1 --gpus-per-node=1 --cpus-per-task=1 --output="$run.log" \
    "${SCRIPT:-$ROOT/scripts/slurm/train.sbatch}" --config "$CONFIG" --data "$TRAIN" --holdout "$HOLDOUT" \
    --output "$run" "${train_arguments[@]}" --set log.every_steps=1 "$@"
}

process_of_rank() { cluster_processes "SLURM_JOB_ID=$1" "SLURM_PROCID=$2" "SLURM_STEP_ID=0" | while read -r process; do
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" != esmscale ] || echo "$process"
done; }

field_of_job() { scontrol --oneliner show job "$1" | grep -o " $2=[^ ]*" | cut -d= -f2; } # JOB FIELD
is_state() { [ "$(field_of_job "$1" JobState)" = "$2" ]; }
was_requeued() { [ "$(field_of_job "$1" Restarts)" = 1 ]; }
has_steps() { [ -f "$1/metrics.jsonl" ] && [ "$(wc -l <"$1/metrics.jsonl")" -ge "$2" ]; } # RUN COUNT
newest_checkpoint() { [ ! -d "$1/checkpoints" ] || find "$1/checkpoints" -name checkpoint.json | sort | tail -n 1; }
has_newer_checkpoint() { [[ $(newest_checkpoint "$1") > $2 ]]; } # RUN CHECKPOINT

wait_for_state() { wait_for 90 "job $1 to be $2" is_state "$1" "$2"; } # JOB STATE

# expect WHAT COMMAND…
expect() {
  local what=$1
  shift
  "$@" && return
  tail -n 40 "$CLUSTER"/*run*.log "$CLUSTER"/study/logs/* 2>/dev/null >&2 || true
  fail "expected $what" "found otherwise by: $*"
}

starts_of() { json_value "$1/environment.json" '#'; }
