#!/usr/bin/env bash
# installation_test.sh BUILD carries|borrows: an installed tree runs after it was moved, from any folder, and finds its
# own configs and scripts.
# Oracle: the program's own answers; where the tree carries its libraries (a CPU build), what the loader finds.
# LD_LIBRARY_PATH is unset, so only the tree's own rpath can help it.

set -euo pipefail
build=$1
libraries=$2
place=$(mktemp -d "$build/installation.XXXXXX")
trap 'rm -rf "$place"' EXIT

cmake --install "$build" --prefix "$place/first" >"$place/log" || { cat "$place/log"; exit 1; }
mv "$place/first" "$place/moved"
configs=$place/moved/share/esmscale/configs
cp "$configs/esm2_8M.json" "$configs/only_in_the_moved_tree.json"
cd /
unset LD_LIBRARY_PATH
"$place/moved/bin/esmscale" --version
"$place/moved/bin/esmscale" count-flops --config only_in_the_moved_tree.json --json |
  grep '"kaplan_non_embedding"' >/dev/null

# Completion and manual pages of every verb.
grep -q 'complete .*esmscale' "$place/moved/share/bash-completion/completions/esmscale"
grep -q '#compdef esmscale' "$place/moved/share/zsh/site-functions/_esmscale"
grep -q -- '-l branch-from' "$place/moved/share/fish/vendor_completions.d/esmscale.fish"
for page in esmscale esmscale-train esmscale-study-run; do
  grep -q '^.SH OPTIONS' "$place/moved/share/man/man1/$page.1"
done

# The scripts for SLURM are its own, too.
echo "# moved" >>"$place/moved/share/esmscale/slurm/train.sbatch"
"$place/moved/bin/esmscale" study plan "$place/study" --isoflop 1e18 --models 4 >/dev/null 2>&1
cmp "$place/study/train.sbatch" "$place/moved/share/esmscale/slurm/train.sbatch"

if [ "$libraries" = carries ] && ldd "$place/moved/bin/esmscale" |
  grep -E 'not found|libtorch|libc10|libspdlog' | grep -v "$place/moved/"; then
  echo "these libraries are not the installed tree's own"
  exit 1
fi
