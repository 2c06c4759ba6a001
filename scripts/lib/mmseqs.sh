# MMseqs2, files and disk space, for the scripts under scripts/uniref.

# The user's own on PATH comes before Debian's.
require_mmseqs() {
  command -v mmseqs >/dev/null || install_packages mmseqs2
  command -v mmseqs >/dev/null || fail "there is no mmseqs on PATH" \
    "Install MMseqs2 (Debian's package is mmseqs2), or put your own on PATH"
  note "MMseqs2 $(mmseqs version) at $(command -v mmseqs)"
}

show_file() { # FILE, decompressed
  case $1 in
    *.gz) gzip -dc "$1" ;;
    *.zst) zstd -dcq "$1" ;;
    *) cat "$1" ;;
  esac
}

free_bytes() { df --output=avail -B1 "$1" | tail -n 1 | tr -dc 0-9; } # FOLDER

require_free() { # FOLDER BYTES WHAT
  local free
  free=$(free_bytes "$1")
  [ "$free" -ge "$2" ] || fail "$3 takes about $(human_gb "$2") of disk, and $1 has $(human_gb "$free") free" \
    "Free some, or choose another folder"
}
