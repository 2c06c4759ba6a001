"""What scripts/uniref/levels.sh counts and prints.

levels.py estimate LEVEL BYTES THREADS
levels.py record FOLDER LEVEL SOURCE VERSION METHOD FASTA    checks that every input sequence is in one cluster
levels.py table ESMSCALE OUTPUT LEVEL…
"""

import json
import subprocess
import sys
from pathlib import Path

# Core seconds for a million bytes of FASTA, by level: measured on Swiss-Prot, docs/data.md.
CORE_SECONDS = ((0.5, 5.2), (0.4, 12.6), (0.3, 12.8), (0.0, 21.1))


def folder_of(level):
    return f"level{100 * float(level):g}"


def human_seconds(seconds):
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} seconds"


def estimate(level, size, threads):
    rate = next(rate for least, rate in CORE_SECONDS if float(level) >= least)
    print(human_seconds(rate * float(size) / 1e6 / int(threads)))


def count_records(fasta):
    with open(fasta, "rb") as lines:
        return sum(line.startswith(b">") for line in lines)


def count_clusters(table):
    """Rows and clusters; a cluster's rows stand together, its representative first."""
    rows = clusters = 0
    before = None
    with open(table, "rb") as lines:
        for line in lines:
            representative = line.split(b"\t", 1)[0]
            clusters += representative != before
            before = representative
            rows += 1
    return rows, clusters


def record(folder, level, source, version, method, fasta):
    folder = Path(folder)
    sequences = count_records(fasta)
    members, clusters = count_clusters(folder / "clusters_cluster.tsv")
    representatives = count_records(folder / "clusters_rep_seq.fasta")
    if not (members == sequences and representatives == clusters > 0):
        sys.exit(f"{sequences} sequences went in, {members} are in clusters; "
                 f"{clusters} clusters have {representatives} representatives"
                 + (" (does a name occur twice in the input?)" if members == sequences else ""))
    level = {"identity": float(level), "input_sequences": sequences, "clusters": clusters, "source": source,
             "mmseqs": version, "method": method.strip(),
             **json.loads((folder / "measured.json").read_text())}
    (folder / "level.json.partial").write_text(json.dumps(level, indent=2) + "\n")


def table(esmscale, output, *levels):
    print("| level | sequences | residues | mean length | of the level above | time | time of a core | memory | disk |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for level in levels:
        folder = Path(output) / folder_of(level)
        info = json.loads(subprocess.check_output([esmscale, "info", folder / "dataset", "--json"]))
        row = [f"{100 * float(level):g}%", f"{info['sequences']:,}", f"{info['residues']:,}", f"{info['mean_length']:.1f}"]
        if (folder / "level.json").exists():
            took = json.loads((folder / "level.json").read_text())
            row += [f"{100 * took['clusters'] / took['input_sequences']:.1f}%", human_seconds(took["seconds"]), human_seconds(took["cpu_seconds"]),
                    f"{took['peak_memory_bytes'] / 1e9:.2f} GB", f"{took['peak_disk_bytes'] / 1e9:.2f} GB"]
        else:
            row += ["given", "", "", "", ""]
        print("| " + " | ".join(row) + " |")


{"estimate": estimate, "record": record, "table": table}[sys.argv[1]](*sys.argv[2:])
