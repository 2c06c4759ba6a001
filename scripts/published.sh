#!/usr/bin/env bash
# Makes docs/studies/published: our fit of every public set of points, its tables, figures, page and reports.
#
#   scripts/published.sh POINTS [OUTPUT]
#
# POINTS   a folder with cheng_mlm_isoflop.csv, cheng_mlm_finals.csv, chinchilla_245.csv and nanoprot_esm2.csv
# OUTPUT   where the page goes; docs/studies/published by default
#
# Environment: ESMSCALE, a built esmscale other than this tree's; BOOTSTRAP, draws of the intervals (400).

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

points='' output=''
take_arguments "" "" "points output" "$@"
[ -d "$points" ] || fail "POINTS is needed, a folder of points" "See $0 --help"
require_esmscale
output=${output:-$ROOT/docs/studies/published}
draws=${BOOTSTRAP:-400}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fit() { # NAME, flags of fit
  local name=$1
  shift
  say "$name"
  "$esmscale" fit --points "$points/$name.csv" --bootstrap "$draws" "$@" --output "$work/$name" >/dev/null ||
    fail "fitting $name failed"
  mkdir -p "$output/$name"
  cp "$work/$name"/tables/{constants,comparison}.csv "$work/$name/loss_flops.svg" "$output/$name"
  [ ! -f "$work/$name/n_opt.svg" ] || cp "$work/$name/n_opt.svg" "$output/$name"
}

fit cheng_mlm_isoflop
fit cheng_mlm_finals
fit chinchilla_245 --drop-highest 5
fit nanoprot_esm2
(cd "$work" && tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c ./*/report.html | gzip -n9) \
  >"$output/reports.tar.gz"
page="$output"/README.md
esmtools study.published "$work" "$page"
note "$page"
