# Configure one preset and build a target of it. LibTorch's headers cost a compiler about 1.5 GB, so memory bounds the
# jobs too.

build_jobs() {
  local cores memory_gb jobs
  cores=$(nproc)
  memory_gb=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  jobs=$((memory_gb * 2 / 3))
  if [ "$jobs" -gt "$cores" ]; then jobs=$cores; fi
  if [ "$jobs" -lt 1 ]; then jobs=1; fi
  echo "$jobs"
}

build_preset() {
  local preset=$1 target=$2 jobs log=$ROOT/build/configure-$1.log
  jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(build_jobs)}
  say "Building $target of preset $preset into build/$preset ($jobs at a time)"
  mkdir -p "$ROOT/build"
  cd "$ROOT"
  with_log "$log" cmake --preset "$preset" -DESMSCALE_DEPS="$DEPS" || fail "cmake --preset $preset failed (log: $log)"
  note "$(sed -n 's/^-- \(LibTorch: .*\)/\1/p' "$log")"
  cmake --build --preset "$preset" --target "$target" --parallel "$jobs" >&2 || fail "the build of preset $preset failed"
}
