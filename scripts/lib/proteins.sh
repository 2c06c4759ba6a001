# Real proteins that Debian packages carry: 20,000 UniProt sequences of the quickstart, and most of Swiss-Prot.

download_package() { # PACKAGE FOLDER; as any user, nothing is installed
  (cd "$2" && apt-get -o APT::Sandbox::User=root download "$1")
}

# unpack_package PACKAGE FOLDER FILE: the package's files go to FOLDER/files; FILE is what the caller wants of them.
unpack_package() {
  local package=$1 folder=$2 file=$3
  if ! download_package "$package" "$folder" >"$folder/log" 2>&1; then
    # A machine whose package lists were never read has no candidate for it.
    require_root "reading apt's package lists"
    with_log "$folder/log" as_root apt-get update && with_log "$folder/log" download_package "$package" "$folder" ||
      fail "apt-get could not download $package: is there a network? (log: $folder/log)" \
        "Or put a FASTA file of proteins at $file"
  fi
  dpkg -x "$folder"/*.deb "$folder/files"
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
  unpack_package "$package" "$folder" "$file"
  found=$(find "$folder/files" -name DB.fasta.gz -print -quit)
  [ -n "$found" ] || fail "this version of $package holds no DB.fasta.gz" "Put a FASTA file of proteins at $file"
  gzip -t "$found"
  cp "$found" "$file.partial"
  mv "$file.partial" "$file"
  rm -rf "$folder"
}

random_proteins() { esmtools random_proteins "$1" "$2"; } # COUNT LENGTH; the same ones every time

# The sequences of Swiss-Prot 2014_01 with a Gene Ontology annotation: three BLAST databases that share many entries.
# Each accession once, as it comes first.
fetch_swissprot() { # FILE
  local file=$1 package=metastudent-data folder part databases=()
  if [ -s "$file" ]; then
    note "$file is there"
    return
  fi
  install_packages ncbi-blast+
  note "fetching the Debian package $package (225 MB; 1.1 GB while it is unpacked next to $file)"
  mkdir -p "$(dirname "$file")"
  folder=$(mktemp -d -p "$(dirname "$file")")
  unpack_package "$package" "$folder" "$file"
  mapfile -t databases < <(find "$folder/files" -name 'goasp.fasta.pin' | sort)
  [ ${#databases[@]} -eq 3 ] || fail "this version of $package holds ${#databases[@]} databases goasp.fasta, not 3" \
    "Put a FASTA file of proteins at $file"
  for part in "${databases[@]}"; do
    blastdbcmd -db "${part%.pin}" -entry all || fail "blastdbcmd cannot read ${part%.pin}"
  done | awk -F'[>| ]' '/^>/ { keep = !($2 in seen); seen[$2]; if (keep) print ">" $2; next } keep' >"$file.partial"
  mv "$file.partial" "$file"
  rm -rf "$folder"
  note "$file holds $(grep -c '^>' "$file") sequences"
}
