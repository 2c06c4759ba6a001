# The program that scripts run, and its data sets.

# Sets esmscale: the program of this tree, or the one that ESMSCALE names.
require_esmscale() {
  esmscale=${ESMSCALE:-$ROOT/build/release/esmscale}
  [ -n "${ESMSCALE:-}" ] || "$ROOT/scripts/setup.sh" --build release --target esmscale || exit 1
  esmscale=$(realpath -s -- "$esmscale")
  [ -x "$esmscale" ] || fail "ESMSCALE is $esmscale, and that is no program" "Name a built esmscale"
}

# FOLDER MORE…: fails with the MORE lines if FOLDER holds no prepared data set.
require_dataset() { is_dataset "$1" || fail "there is no prepared data set in $1" "${@:2}"; }

is_dataset() { "$esmscale" info "$1" --json >/dev/null 2>&1; }

dataset_values() { "$esmscale" info "$1" --json | json_value - "${@:2}"; } # DATASET KEY…, in one line

# Runs COMMAND; status 85, a stop by a signal, ends the script with 85 too.
stoppable() {
  local status=0
  "$@" || status=$?
  [ $status -ne 85 ] || { note "stopped; run the same command again to resume"; exit 85; }
  return $status
}
