#!/usr/bin/env bash
# Writes configs/laws: the published laws that `esmscale plan --law NAME` plans by, each our fit of public points.
#
#   scripts/published_laws.sh POINTS
#
# POINTS   a folder with cheng_mlm_isoflop.csv, chinchilla_245.csv and nanoprot_esm2.csv (sources below)
#
# Environment: ESMSCALE, a built esmscale other than this tree's.

scripts=$(dirname "${BASH_SOURCE[0]}")
source "$scripts/lib/common.sh"
source "$scripts/lib/program.sh"

points=''
take_arguments "" "" points "$@"
[ -d "$points" ] || fail "POINTS is needed, a folder of points" "See $0 --help"
require_esmscale
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, points, flags of fit, then what the law file says about itself
law() {
  local name=$1 file=$2 title=$3 source=$4 protocol=$5 own=$6
  shift 6
  "$esmscale" fit --points "$points/$file" --bootstrap 400 "$@" --output "$work/$name" >/dev/null
  esmtools published_law "$work/$name/laws.json" "$ROOT/configs/laws/$name.json" \
    --name "$name" --title "$title" --source "$source" --protocol "$protocol" --own-law "$own"
  note "configs/laws/$name.json"
}

law cheng-mlm cheng_mlm_isoflop.csv "our fit of Cheng et al. 2024, protein MLM" \
  "arXiv 2411.02142, cxysteven/ScalingProteinLM: 72 runs of 6M to 10.7B parameters, 1e18 to 1e21 FLOPs" \
  "masks are spans (GLM) at 15%; UniRef50, UniRef90 and ColabFold; cosine to a tenth; N and D may be planned by it" \
  "N = 1.365e-7·C^0.7598, D = 6.149e5·C^0.2561; re-analysed exponent 0.736 (0.63 to 0.79)"
law hoffmann chinchilla_245.csv "our fit of Hoffmann et al. 2022, text" \
  "arXiv 2203.15556, figure 4 as read off by Epoch AI (Besiroglu et al. 2024), without its five highest losses" \
  "causal language models on MassiveText" "N ∝ C^0.50, 0.49 and 0.46 by approaches 1, 2 and 3" --drop-highest 5
law nanoprot nanoprot_esm2.csv "our fit of nanoprot's ESM-2 shapes" "ygzdvr/nanoprot: 27 runs" \
  "ESM-2 shapes, Muon, UniRef50, windows of 512 residues; the loss is MASK-only" "none published"
