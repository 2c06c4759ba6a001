# The real proteins of the quickstart: 20,000 UniProt sequences that the Debian package mmseqs2-examples carries.

download_package() { # PACKAGE FOLDER; as any user, nothing is installed
  (cd "$2" && apt-get -o APT::Sandbox::User=root download "$1")
}

fetch_proteins() { # FILE
  local file=$1 package=mmseqs2-examples folder found
  if [ -s "$file" ]; then
    note "$file is there"
    return
  fi
  note "fetching the Debian package $package and taking DB.fasta.gz out of it"
  mkdir -p "$(dirname "$file")"
  folder=$(mktemp -d)
  if ! download_package "$package" "$folder" >"$folder/log" 2>&1; then
    # A machine whose package lists were never read has no candidate for it.
    require_root "reading apt's package lists"
    with_log "$folder/log" as_root apt-get update && with_log "$folder/log" download_package "$package" "$folder" ||
      fail "apt-get could not download $package: is there a network? (log: $folder/log)" \
        "Or put a FASTA file of proteins at $file"
  fi
  dpkg -x "$folder"/*.deb "$folder/files"
  found=$(find "$folder/files" -name DB.fasta.gz -print -quit)
  [ -n "$found" ] || fail "this version of $package holds no DB.fasta.gz" "Put a FASTA file of proteins at $file"
  gzip -t "$found"
  cp "$found" "$file.partial"
  mv "$file.partial" "$file"
  rm -rf "$folder"
}

random_proteins() { # COUNT LENGTH; the same ones every time
  python3 -c '
import random, sys
random.seed(1)
count, length = map(int, sys.argv[1:])
for i in range(count): print(f">p{i}", "".join(random.choices("ACDEFGHIKLMNPQRSTVWY", k=length)), sep="\n")' "$1" "$2"
}
