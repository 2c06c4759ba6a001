# MMseqs2, and what the scripts under scripts/uniref have in common.

# The user's own on PATH comes before Debian's.
require_mmseqs() {
  command -v mmseqs >/dev/null || install_packages mmseqs2
  command -v mmseqs >/dev/null || fail "there is no mmseqs on PATH" \
    "Install MMseqs2 (Debian's package is mmseqs2), or put your own on PATH"
  note "MMseqs2 $(mmseqs version) at $(command -v mmseqs)"
}

# Sets esmscale: the program of this tree, or the one that ESMSCALE names.
require_esmscale() {
  esmscale=${ESMSCALE:-$ROOT/build/release/esmscale}
  [ -n "${ESMSCALE:-}" ] || "$ROOT/scripts/setup.sh" --build release --target esmscale || exit 1
  [ -x "$esmscale" ] || fail "ESMSCALE is $esmscale, and that is no program" "Name a built esmscale"
}

show_file() { # FILE, decompressed
  case $1 in
    *.gz) gzip -dc "$1" ;;
    *.zst) zstd -dcq "$1" ;;
    *) cat "$1" ;;
  esac
}

human_gb() { awk -v bytes="$1" 'BEGIN { printf "%.1f GB", bytes / 1e9 }'; }

human_time() { # SECONDS
  awk -v s="$1" 'BEGIN { if (s < 120) printf "%.0f s", s; else if (s < 7200) printf "%.0f min", s / 60; else printf "%.1f h", s / 3600 }'
}

free_bytes() { df --output=avail -B1 "$1" | tail -n 1 | tr -dc 0-9; } # FOLDER

require_free() { # FOLDER BYTES WHAT
  local free
  free=$(free_bytes "$1")
  [ "$free" -ge "$2" ] || fail "$3 takes about $(human_gb "$2") of disk, and $1 has $(human_gb "$free") free" \
    "Free some, or choose another folder"
}

json_value() { # FILE KEY
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"
}

dataset_values() { # DATASET KEY…, as info tells them, in one line
  "$esmscale" info "$1" --json |
    python3 -c 'import json, sys; info = json.load(sys.stdin); print(*(info[key] for key in sys.argv[1:]))' "${@:2}"
}
