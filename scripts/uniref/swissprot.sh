#!/usr/bin/env bash
# 516,000 real proteins without UniProt's site: the Swiss-Prot entries of 2014_01 with a Gene Ontology annotation,
# which the Debian package metastudent-data carries as BLAST databases. Each accession once. Safe to run again.
#
#   scripts/uniref/swissprot.sh [FILE]     default data/swissprot/swissprot.fasta

scripts=$(dirname "${BASH_SOURCE[0]}")/..
source "$scripts/lib/common.sh"
source "$scripts/lib/packages.sh"
source "$scripts/lib/proteins.sh"

file=$ROOT/data/swissprot/swissprot.fasta
take_arguments "" "" file "$@"
say "Swiss-Prot"
fetch_swissprot "$file"
