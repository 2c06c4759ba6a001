#!/usr/bin/env bash
# ranks_on_one_gpu.sh BUILD [--dry-run | --probe | --brief | --cpu]: several ranks over real NCCL on one GPU, in about four minutes.
#
# NCCL refuses two ranks on one GPU only where host and GPU are the same, and the host's identity is NCCL_HOSTID where that is
# set. With another one for each rank the data go over sockets of the loopback device: real kernels, streams and watchdogs, and
# collectives of about 10 ms, so that whoever forgets a wait reads a buffer long before it is reduced. NVLink, InfiniBand and
# bandwidth are not tested.
#
# Oracles: the losses of one rank, to 1e-4 nats (sums of fp32 in another order, through twenty steps); weights bit-equal on all
# ranks, which the program itself compares after steps 1, 2 and 10 and before each checkpoint.
#
# --dry-run prints the commands, on any machine. --probe ends after the first twenty seconds. --brief compares two ranks at
# stages 0 and 2 with one rank and ends, in half a minute: enough for a mutant. --cpu runs it all over Gloo with a smaller
# model, which tries this script. Status 77 without a GPU.
# ESMSCALE=PROGRAM replaces BUILD/esmscale: a mutant of mutants.sh, which must fail.

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$tests/../../scripts/lib/common.sh"
source "$tests/../../scripts/lib/proteins.sh"

ESMSCALE=${ESMSCALE:-$1/esmscale}
mode=${2-}
device=cuda width=320
[ "$mode" != --cpu ] || device=cpu width=48
if [ "$mode" != --dry-run ] && [ "$mode" != --cpu ] && ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  note "skipped: no GPU here; --dry-run prints what would run"
  exit 77
fi

work=$(mktemp -d /tmp/esmscale-ranks.XXXXXX)
trap 'rm -rf "$work"' EXIT
export NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_IB_DISABLE=1 NCCL_NET=Socket NCCL_SOCKET_IFNAME=lo NCCL_NVLS_ENABLE=0 \
  NCCL_MNNVL_ENABLE=0 NCCL_ALGO=Ring NCCL_PROTO=Simple NCCL_MAX_CTAS=2 MASTER_ADDR=127.0.0.1
processes=()

# run COMMAND…, or print it.
run() { if [ "$mode" = --dry-run ]; then printf '%q ' "$@" && echo; else "$@"; fi; }

# start_ranks N NAME ARGS…: N processes on the one GPU; their words go to NAME.RANK.out and .err.
start_ranks() {
  local n=$1 name=$2 rank
  shift 2
  processes=()
  export MASTER_PORT=$((20000 + RANDOM % 12000))
  for ((rank = 0; rank < n; rank++)); do
    if [ "$mode" = --dry-run ]; then
      run env NCCL_HOSTID="rank$rank" RANK="$rank" WORLD_SIZE="$n" LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 "$ESMSCALE" "$@"
    else
      NCCL_HOSTID=rank$rank RANK=$rank WORLD_SIZE=$n LOCAL_RANK=0 LOCAL_WORLD_SIZE=1 OMP_NUM_THREADS=2 timeout 100 \
        "$ESMSCALE" "$@" >"$work/$name.$rank.out" 2>"$work/$name.$rank.err" &
      processes+=($!)
    fi
  done
}

# Fails unless all of them end with STATUS.
end_ranks() { # STATUS NAME
  local process status
  for process in ${processes[@]+"${processes[@]}"}; do
    status=0
    wait "$process" || status=$?
    [ "$status" -eq "$1" ] || complain "$2: a rank ended with $status, not with $1"
  done
}

complain() {
  tail -n 5 "$work"/*.err >&2 || true
  fail "$1"
}

# A model with fourteen buckets, batches of eight packs, twenty steps; every step is logged.
prepare() {
  random_proteins 1500 120 >"$work/proteins.fasta"
  run "$ESMSCALE" prepare --input "$work/proteins.fasta" --output "$work/train" --holdout 50 --holdout-output "$work/holdout"
  cat >"$work/config.json" <<JSON
{
  "model": {"name": "small", "layers": 6, "width": $width, "heads": $((width / 16))}, "data": {"max_seq_len": 128},
  "train": {"batch_tokens": 8192, "pack_tokens": 1024, "max_tokens": 160000, "precision": "fp32", "deterministic": true},
  "optimizer": {"lr": 1e-3}, "log": {"every_steps": 1}, "checkpoint": {"every_minutes": 0}
}
JSON
}

# arguments RUN STAGE MICRO_BATCH_TOKENS [MORE…], into `arguments`.
set_arguments() {
  local run=$1 stage=$2 micro=$3
  shift 3
  arguments=(train --config "$work/config.json" --data "$work/train" --holdout "$work/holdout" --output "$work/$run"
    --device "$device" --json --set "parallel.zero_stage=$stage" --set "train.micro_batch_tokens=$micro" "$@")
}

# same_curve A B: every common step, to 1e-4 nats.
same_curve() {
  [ "$mode" != --dry-run ] || return 0
  "$ROOT/scripts/same_losses.sh" "$work/$1" "$work/$2" --tolerance 1e-4 ||
    complain "the losses of $1 are not those of $2"
}

# What NCCL and LibTorch say when a group is not ended well.
ended_well() {
  [ "$mode" != --dry-run ] || return 0
  ! grep -l 'destroy_process_group\|Watchdog\|terminate called' "$work/$1".*.err || complain "$1 did not end well"
}

# Tensors at their peak within 15% of what was predicted; cuBLAS may add 32 MiB of workspace, from the same allocator.
predicted_memory() {
  [ "$mode" != --dry-run ] || return 0
  local peak predicted
  read -r peak predicted < <(json_value "$work/$1.0.out" memory_tensors_peak memory_predicted)
  note "peak $peak bytes, predicted $predicted"
  awk -v peak="$peak" -v predicted="$predicted" \
    'BEGIN { exit !(0.85 * predicted < peak && peak < 1.15 * predicted + 32 * 2 ^ 20) }' ||
    complain "the memory of $1 is not what was predicted"
}

# Two ranks know in seconds whether NCCL takes them.
probe() {
  start_ranks 2 probe doctor --device "$device" --largest 1MiB --output "$work"
  end_ranks 0 probe
  [ "$mode" = --dry-run ] || cat "$work/probe.0.out"
}

# Stages, ranks and micro-batches against one rank. Three ranks share eight packs: the last of a rank's may be inert.
curves() { # MICRO-BATCHES RANKS STAGES, a list each
  local micro n stage name
  for micro in $1; do
    set_arguments "one-$micro" 0 "$micro"
    run with_log "$work/one-$micro.log" "$ESMSCALE" "${arguments[@]}"
    for n in $2; do
      for stage in $3; do
        name=curve-$n-$stage-$micro
        set_arguments "$name" "$stage" "$micro"
        start_ranks "$n" "$name" "${arguments[@]}"
        end_ranks 0 "$name"
        same_curve "$name" "one-$micro"
        ended_well "$name"
      done
    done
  done
}

four_ranks() {
  set_arguments curve-4 2 1024
  start_ranks 4 curve-4 "${arguments[@]}"
  end_ranks 0 curve-4
  same_curve curve-4 one-1024
  predicted_memory curve-4
}

has_steps() { [ "$(cat "$work/$1/metrics.jsonl" 2>/dev/null | wc -l)" -ge "$2" ]; }
wait_for_steps() { # RUN STEPS
  local i
  [ "$mode" != --dry-run ] || return 0
  for ((i = 0; i < 600; i++)); do
    ! has_steps "$1" "$2" || return 0
    sleep 0.1
  done
  complain "$1 never came to step $2"
}

# A signal to one rank stops all; the run resumes with another number of ranks.
stop_and_resume() {
  set_arguments stopped 2 1024
  start_ranks 3 stopped "${arguments[@]}"
  wait_for_steps stopped 5
  [ "$mode" = --dry-run ] || pkill -USR1 -P "${processes[1]}"
  end_ranks 85 stopped
  start_ranks 2 resumed "${arguments[@]}"
  end_ranks 0 resumed
  same_curve stopped one-1024
}

# A rank that is killed, and one that hangs: the others end within half a minute and say which.
lost_rank() { # SIGNAL
  local begin
  set_arguments "lost-$1" 2 1024 --set train.max_tokens=100M --set train.epochs=10000 --set parallel.heartbeat_seconds=5
  start_ranks 3 "lost-$1" "${arguments[@]}"
  wait_for_steps "lost-$1" 3
  [ "$mode" != --dry-run ] || return 0
  begin=$SECONDS
  pkill "-$1" -P "${processes[1]}"
  wait "${processes[0]}" && complain "lost-$1: rank 0 ended well"
  [ $((SECONDS - begin)) -lt 30 ] || complain "lost-$1: rank 0 took $((SECONDS - begin)) s to end"
  grep -q 'rank 1' "$work/lost-$1.0.err" || complain "lost-$1: rank 0 does not name rank 1"
  pkill -KILL -P "${processes[1]}" || true
  wait || true
}

[ "$mode" = --dry-run ] || note "$("$ESMSCALE" --version)"
if [ "$mode" = --brief ]; then
  prepare
  curves 1024 2 "0 2"
  exit
fi
probe
[ "$mode" != --probe ] || exit 0
prepare
curves "1024 4096" "2 3" "0 1 2"
four_ranks
stop_and_resume
lost_rank KILL
lost_rank STOP
note "all as it should be"
