#!/usr/bin/env bash
# Installs what esmscale is built from: Debian packages, and LibTorch into .deps. Safe to run again.
#
#   scripts/setup.sh [--build PRESET] [--target NAME] [--tests]
#
#   --build PRESET   then configure and build that preset: release, dev, asan or tsan
#   --target NAME    only that target of it: esmscale leaves the tests out
#   --tests          also what only tests need, a SLURM, where it can be installed without asking
#
# Environment:
#   Torch_DIR, CMAKE_PREFIX_PATH   a LibTorch 2.11 that they name is used; nothing is downloaded
#   ESMSCALE_DEPS                  folder for LibTorch instead of .deps; several clones may share it
#   CMAKE_BUILD_PARALLEL_LEVEL     compiler jobs; default: as many as cores and memory allow

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/libtorch.sh"
source "$scripts/lib/build.sh"

build='' target=all tests=''
take_arguments "build target" tests "" "$@"

say "Debian packages"
install_packages "${BUILD_PACKAGES[@]}"
[ -z "$tests" ] || install_test_packages
say "LibTorch"
setup_libtorch
[ -z "$build" ] || build_preset "$build" "$target"
