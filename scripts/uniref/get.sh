#!/usr/bin/env bash
# Gets UniRef50 from UniProt's public site and checks it against the release's own checksum, or takes a file that is
# there already. A download that was cut off is resumed. This is the one step of the paper's data that the project's own
# tests cannot run: they use the same script on a small file next to its release note.
#
#   scripts/uniref/get.sh [FILE]     default data/uniref50/uniref50.fasta.gz
#
# About 64 million sequences and 18G residues in 2024, some 10 GB compressed; the release note has the exact size, and
# free disk is checked against it first. Each release replaces the last at that address: keep the file.
#
# Environment: UNIREF50_SITE, another address of the folder that holds uniref50.fasta.gz and RELEASE.metalink.

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/mmseqs.sh"

file=$ROOT/data/uniref50/uniref50.fasta.gz
take_arguments "" "" file "$@"
site=${UNIREF50_SITE:-https://ftp.uniprot.org/pub/databases/uniprot/current_release/uniref/uniref50}
partial=$file.partial note_file=$file.metalink

download() { # ADDRESS FILE MORE…
  curl --fail --silent --show-error --location --retry 5 --output "$2" "${@:3}" "$1" ||
    fail "could not get $1" "Is there a network? A file of yours may lie at $file instead"
}

say "UniRef50"
if [ -s "$file" ]; then
  note "$file is there ($(human_gb "$(stat -Lc %s "$file")"))"
  exit
fi
command -v curl >/dev/null || fail "curl is needed to get $site" "The Debian package is curl; or put a file of yours at $file"
mkdir -p "$(dirname "$file")"
download "$site/RELEASE.metalink" "$note_file"
released=$(esmtools uniref.release "$note_file")
read -r size md5 <<<"$released"
have=$([ ! -e "$partial" ] || stat -c %s "$partial")
note "$site/uniref50.fasta.gz: $(human_gb "$size")${have:+, of which $(human_gb "$have") are there}"
require_free "$(dirname "$file")" $((size - ${have:-0})) "the download"
[ "${have:-0}" -ge "$size" ] || download "$site/uniref50.fasta.gz" "$partial" --continue-at -
if [ "$(md5sum <"$partial" | cut -c 1-32)" != "$md5" ]; then
  rm "$partial"
  fail "the file does not agree with its checksum $md5" "It was removed; a new release may have come in between: try again"
fi
mv "$partial" "$file"
note "$file agrees with its checksum"
