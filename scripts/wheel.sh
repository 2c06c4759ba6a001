#!/usr/bin/env bash
# Makes a Python wheel whose command is the native program: for machines where nobody is root. LibTorch comes with the
# torch package of the same environment; the other libraries that the program needs are in the wheel.
#
#   scripts/wheel.sh [OUTPUT] [--set KEY=VALUE;KEY=VALUE]
#
# OUTPUT   folder of the wheel; dist by default
# --set    CMake variables, such as ESMSCALE_CUDA=OFF;TORCH_CUDA_ARCH_LIST=9.0
#
# With the CUDA toolkit on PATH it is a wheel for GPUs, which runs without one too. Needs what scripts/setup.sh installs,
# and Python's venv (python3-venv).

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/build.sh"

output='' set=''
take_arguments "set" "" "output" "$@"
output=${output:-$ROOT/dist}
mkdir -p "$output" "$ROOT/build"
work=$(mktemp -d "$ROOT/build/wheel.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "Build tools of Python"
python3 -m venv "$work/venv" || fail "python3 has no venv" "Debian and Ubuntu: apt-get install python3-venv"
with_log "$work/pip.log" "$work/venv/bin/pip" install "scikit-build-core>=0.11" "auditwheel>=6" ||
  fail "pip could not fetch scikit-build-core: is there a network?"

say "Building the wheel, $(build_jobs) files at a time"
settings=()
IFS=';' read -ra variables <<<"$set"
for variable in ESMSCALE_DEPS="$DEPS" "${variables[@]}"; do
  settings+=(--config-settings "cmake.define.${variable%%=*}=${variable#*=}")
done
# ccache knows a compiler by its name, and c++ is the one that CMake takes for the other builds.
CXX=${CXX:-c++} CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(build_jobs)} \
  "$work/venv/bin/pip" wheel "$ROOT" --no-deps --no-build-isolation --wheel-dir "$work/wheel" "${settings[@]}" >&2 ||
  fail "the wheel could not be built"

say "What it needs"
wheel=$(echo "$work"/wheel/esmscale-*.whl)
"$work/venv/bin/auditwheel" show "$wheel" | sed -n 's/^/    /p' >&2 || true
mv "$wheel" "$output/"
note "$output/$(basename "$wheel")"
