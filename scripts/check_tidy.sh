#!/usr/bin/env bash
# Checks the rooms without LibTorch (cmake/Rooms.cmake) with clang-tidy 14, by the rules of .clang-tidy, and prints the time
# that it took. A file that was clean is checked again when it, a header of it or a rule has changed. Exit status 77:
# clang-tidy is not here and cannot be installed.
#
#   scripts/check_tidy.sh [--build DIR] [--jobs N] [ROOM…]
#
#   --build DIR   whose compile_commands.json is used; default: build/release, which scripts/setup.sh --build release makes
#   --jobs N      default: 2
#   ROOM…         such as core or kernels; default: every room without LibTorch

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/linters.sh"

build=$ROOT/build/release jobs=2
take_arguments "build jobs" "" … "$@"
require_linter clang-tidy-14 clang-tidy-14
[ -f "$build/compile_commands.json" ] || fail "there is no $build/compile_commands.json" \
  "Configure it first: scripts/setup.sh --build release"
esmtools tidy --program clang-tidy-14 --build "$build" --cache "${XDG_CACHE_HOME:-$HOME/.cache}/esmscale/clang-tidy" \
  --jobs "$jobs" --root "$ROOT" "${rest[@]}"
