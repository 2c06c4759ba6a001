#!/usr/bin/env bash
# slurm_test.sh BUILD CASE: the scripts of scripts/slurm on a SLURM of our own (cluster.sh). Status 77 where SLURM is not
# installed.
#
# Oracle of every case: the losses of an undisturbed run, started without SLURM, bit for bit. A resumed run repeats no step and
# leaves none out, and a sum over two ranks has one order.

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$tests/../../scripts/lib/common.sh"
source "$tests/../../scripts/lib/proteins.sh"
source "$tests/cluster.sh"
source "$tests/training.sh"

export ESMSCALE=$1/esmscale
if ! has_slurm; then
  note "skipped: no SLURM and munge here; the Debian packages are slurm-wlm and munge"
  exit 77
fi
trap stop_cluster EXIT

same_losses() { expect "the losses of an undisturbed run in $1" "$ROOT/scripts/same_losses.sh" "$1" "$2"; }

# Time runs out: SLURM's own signal, then a checkpoint, then the queue, then the rest. SLURM looks at the clock twice a minute,
# so the rank is held until the signal has come.
requeue_one_node() {
  local job process run=$CLUSTER/run
  SCRIPT=$CLUSTER/train.sbatch
  sed 's/--signal=USR1@300/--signal=USR1@50/' "$ROOT/scripts/slurm/train.sbatch" >"$SCRIPT"
  job=$(SBATCH_TIMELIMIT=1 submit 1 "$run")
  wait_for 60 "20 steps" has_steps "$run" 20
  process=$(process_of_rank "$job" 0)
  kill -STOP "$process"
  train_here 1 "$CLUSTER/undisturbed"
  wait_for 75 "SLURM's signal before the time is over" has_news "$process"
  kill -CONT "$process" 2>/dev/null || true # SLURM may have done so itself
  goes_on_after_requeue "$job" "$run"
  same_losses "$run" "$CLUSTER/undisturbed"
}

# SIGUSR1 is pending, or the process is no longer held.
has_news() { ! grep -qs '^State:.*stopped' "/proc/$1/status" || grep -qs '^ShdPnd:.*[2367abef]..$' "/proc/$1/status"; }

goes_on_after_requeue() { # JOB RUN
  wait_for 60 "job $1 to be started again" was_requeued "$1"
  wait_for_state "$1" COMPLETED
  expect "two starts in $2" test "$(starts_of "$2")" -eq 2
  expect "the first start's words in the log" grep -q 'run the same command again' "$2.log"
  expect "the second start's words after them" grep -q 'resuming .* at step' "$2.log"
}

# Gradients and moments shared out between the nodes (stage 2).
requeue_two_nodes() {
  local job run=$CLUSTER/run
  job=$(submit 2 "$run" --set parallel.zero_stage=2)
  wait_for 60 "20 steps" has_steps "$run" 20
  scancel --signal=USR1 "$job"
  train_here 2 "$CLUSTER/undisturbed" --set parallel.zero_stage=2
  goes_on_after_requeue "$job" "$run"
  expect "two nodes" test "$(field_of_job "$job" NodeList)" = "n[1-2]"
  same_losses "$run" "$CLUSTER/undisturbed"
}

# The array of a planned study, as the verb submits it; one task of it is signalled and continues in its turn.
array() {
  local study=$CLUSTER/study job run
  with_log "$CLUSTER/plan.log" "$ESMSCALE" study plan "$study" --isoflop 1e11 --models 4 --centre 30000 --replicates 0 --no-lr-sweep \
    --data "$TRAIN" --max-seq-len 64 --precision fp32 --batch-tokens 256
  with_log "$CLUSTER/study.log" "$ESMSCALE" study run "$study" --slurm --data "$TRAIN" --holdout "$HOLDOUT" \
    "${train_arguments[@]}" --set log.every_steps=1
  job=$(study_status "$study" jobs.0)
  run=$(basename "$(head -n 1 "$study/configs.txt")" .json)
  wait_for 60 "20 steps of $run" has_steps "$study/runs/$run" 20
  scancel --signal=USR1 "${job}_0"
  train_here 1 "$CLUSTER/undisturbed" --config "$study/configs/$run.json"
  wait_for 90 "the end of all tasks" has_left_the_queue "$job"
  expect "four runs done" test "$(study_status "$study" "done")" -eq 4
  expect "two starts of $run" test "$(starts_of "$study/runs/$run")" -eq 2
  expect "the first start's words in its log" grep -rq 'run the same command again' "$study/logs"
  same_losses "$study/runs/$run" "$CLUSTER/undisturbed"
}

study_status() { "$ESMSCALE" study status "$1" --json | json_value - "$2"; } # STUDY KEY
has_left_the_queue() { [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; }

# Each rank in turn, the one that serves the meeting point last; then the run is finished from what they left.
killed_rank() {
  local job rank before run=$CLUSTER/run
  for rank in 1 0; do
    before=$(newest_checkpoint "$run")
    job=$(submit 2 "$run" --set checkpoint.every_tokens=20000)
    wait_for 60 "a checkpoint after '$before'" has_newer_checkpoint "$run" "$before"
    kill -KILL "$(process_of_rank "$job" "$rank")"
    wait_for_state "$job" FAILED
    expect "the other rank's word on rank $rank in the log" \
      grep -E "^error: .*rank $((1 - rank)).*(rank $rank|meeting point)" "$run.log"
    expect "a good checkpoint" "$ESMSCALE" info --verify "$run" --json 
  done
  job=$(submit 2 "$run")
  train_here 2 "$CLUSTER/undisturbed"
  wait_for_state "$job" COMPLETED
  same_losses "$run" "$CLUSTER/undisturbed"
}

# SIGTERM comes to all: a checkpoint is written, and the script does not put the job back into the queue.
cancelled() {
  local job run=$CLUSTER/run
  job=$(submit 2 "$run")
  wait_for 60 "20 steps" has_steps "$run" 20
  scancel "$job"
  wait_for_state "$job" CANCELLED
  wait_for 60 "a checkpoint" has_newer_checkpoint "$run" ""
  train_here 2 "$CLUSTER/undisturbed"
  expect "no second start" is_state "$job" CANCELLED
  job=$(submit 2 "$run")
  wait_for_state "$job" COMPLETED
  expect "two starts in $run" test "$(starts_of "$run")" -eq 2
  same_losses "$run" "$CLUSTER/undisturbed"
}

# Two nodes look at each other, over Gloo.
doctor() {
  local report=$CLUSTER/doctor.json
  MASTER_ADDR=127.0.0.1 srun --nodes=2 --ntasks-per-node=1 "$ESMSCALE" doctor --device cpu --largest 100K \
    --output "$CLUSTER" --json >"$report" 2>"$CLUSTER/doctor.run.log" || fail "doctor ended with $?" "$(cat "$report")"
  expect "two ranks" grep -q '"2 ranks on' "$report"
  expect "four collectives of two sizes" test "$(json_value "$report" collectives.#)" -eq 8
  expect "training at stage 2 in order" grep -q 'bit-equal on all ranks' "$report"
  expect "no error" sh -c "! grep -q '\"result\": \"error\"' $report"
}

start_cluster 2
prepare_training
"$2"
