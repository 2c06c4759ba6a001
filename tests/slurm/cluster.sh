# A SLURM of our own: munged, slurmctld and a slurmd a node, in one temporary folder, on loopback, without systemd. All nodes are
# this machine. Sourced; the caller has a trap on EXIT that calls stop_cluster.

PATH=$PATH:/usr/sbin:/sbin # where Debian has daemons
CLUSTER_PROGRAMS=(munged slurmctld slurmd sbatch srun scancel scontrol squeue)

has_slurm() {
  local program
  for program in "${CLUSTER_PROGRAMS[@]}"; do command -v "$program" >/dev/null || return 1; done
}

# Ports that are free now, so that two clusters do not meet.
free_ports() { python3 "$ROOT/tests/slurm/free_ports.py" "$1"; } # COUNT

# Ports of ranks follow from the job's number, so jobs of two clusters have different numbers.
write_slurm_conf() { # NODES
  local nodes=$1 host ports n
  host=$(uname -n | cut -d. -f1)
  read -ra ports <<<"$(free_ports $((nodes + 1)))"
  cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=${ports[0]}
AuthType=auth/munge
AuthInfo=socket=$CLUSTER/munge.sock,cred_expire=5
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool.%n
SlurmctldPidFile=$CLUSTER/slurmctld.pid
SlurmdPidFile=$CLUSTER/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
GresTypes=gpu
ReturnToService=2
KillWait=10
FirstJobId=$((RANDOM * 1000 + RANDOM % 1000 + 1))
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
SlurmdParameters=config_overrides
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  for ((n = 1; n <= nodes; n++)); do
    echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[n]} CPUs=16 Gres=gpu:8" >>"$SLURM_CONF"
  done
  touch "$CLUSTER"/gpu{0..7} # stand for devices
  echo "Name=gpu File=$CLUSTER/gpu[0-7]" >"$CLUSTER/gres.conf"
}

start_munge() {
  (umask 077 && head -c 1024 /dev/urandom >"$CLUSTER/munge.key")
  munged --foreground --key-file="$CLUSTER/munge.key" --socket="$CLUSTER/munge.sock" --pid-file="$CLUSTER/munged.pid" \
    --seed-file="$CLUSTER/munged.seed" 2>"$CLUSTER/munged.log" &
  disown
  wait_for 10 "munged" test -S "$CLUSTER/munge.sock"
}

start_cluster() { # NODES
  local n
  CLUSTER=$(mktemp -d /tmp/esmscale-slurm.XXXXXX)
  chmod 711 "$CLUSTER" # munged wants its socket reachable by all
  export CLUSTER SLURM_CONF=$CLUSTER/slurm.conf
  mkdir "$CLUSTER/state"
  write_slurm_conf "$1"
  start_munge
  slurmctld -D 2>"$CLUSTER/slurmctld.log" &
  disown
  for ((n = 1; n <= $1; n++)); do
    mkdir "$CLUSTER/spool.n$n"
    slurmd -D -N "n$n" 2>"$CLUSTER/slurmd.n$n.log" &
    disown
  done
  wait_for 30 "$1 idle nodes" nodes_have_answered "$1"
  if lacks_cgroups; then
    note "skipped: slurmd does not start where no cgroup file system is mounted, as in a bare chroot"
    exit 77
  fi
}

# slurmd looks for cgroups at its start, though no plugin here uses them.
lacks_cgroups() { grep -qs "cgroup filesystem not mounted" "$CLUSTER"/slurmd.*.log; }
nodes_have_answered() { nodes_are_idle "$1" || lacks_cgroups; }
nodes_are_idle() { [ "$(sinfo -h -N -o %T 2>/dev/null | grep -cx idle)" -eq "$1" ]; }

# wait_for SECONDS WHAT COMMAND…: until it succeeds; fails with the cluster's own words when it does not, in any case before ctest
# would kill the test and leave the daemons behind (cmake/Slurm.cmake).
wait_for() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  [ $end -le 250 ] || end=250
  until "$@"; do
    if [ $SECONDS -ge $end ]; then
      tail -n 20 "$CLUSTER"/*.log >&2
      fail "waited $seconds s for $what"
    fi
    sleep 0.1
  done
}

# Processes of this cluster, whoever their parent is by now: only theirs name its folder in the environment. Of one rank of a job
# with more lines to look for, as in SLURM_JOB_ID=7 SLURM_PROCID=1.
# shellcheck disable=SC2120 # training.sh gives lines
cluster_processes() {
  local line files=(/proc/[0-9]*/environ)
  for line in "SLURM_CONF=$SLURM_CONF" "$@"; do
    [ ${#files[@]} -gt 0 ] || return 0
    mapfile -t files < <(env -u SLURM_CONF grep -slzxF -e "$line" -- "${files[@]}" || true)
  done
  [ ${#files[@]} -eq 0 ] || printf '%s\n' "${files[@]//[!0-9]/}"
}

stop_cluster() {
  local processes
  [ -n "${CLUSTER-}" ] || return 0
  while mapfile -t processes < <(cluster_processes) && [ ${#processes[@]} -gt 0 ]; do
    kill -KILL "${processes[@]}" 2>/dev/null || true
    sleep 0.1
  done
  rm -rf "$CLUSTER"
}
