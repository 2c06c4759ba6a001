"""What scripts/uniref/levels.sh counts and prints."""

import sys
from pathlib import Path

from esmtools.commands import run_commands
from esmtools.processes import json_of
from esmtools.results import human_seconds, markdown_table, read_json, write_json

# Core seconds for a million bytes of FASTA, by level: measured on Swiss-Prot, docs/data.md.
CORE_SECONDS = ((0.5, 5.2), (0.4, 12.6), (0.3, 12.8), (0.0, 21.1))
HEAD = ["level", "sequences", "residues", "mean length", "of the level above", "time", "core time", "memory", "disk"]


def estimate(level: float, size: float, threads: int) -> None:
    """Print the time that MMseqs2 takes for a level of SIZE bytes of FASTA."""
    rate = next(rate for least, rate in CORE_SECONDS if level >= least)
    print(human_seconds(rate * size / 1e6 / threads))


def count_records(fasta: Path) -> int:
    with open(fasta, "rb") as lines:
        return sum(line.startswith(b">") for line in lines)


def count_clusters(table: Path) -> tuple[int, int]:
    """Rows and clusters; the rows of a cluster follow each other, its representative first."""
    rows = clusters = 0
    before = None
    with open(table, "rb") as lines:
        for line in lines:
            representative = line.split(b"\t", 1)[0]
            clusters += representative != before
            before = representative
            rows += 1
    return rows, clusters


def record(folder: Path, level: float, source: str, version: str, method: str, fasta: Path) -> None:
    """Write FOLDER/level.json.partial, if every sequence of FASTA is in exactly one cluster."""
    sequences = count_records(fasta)
    members, clusters = count_clusters(folder / "clusters_cluster.tsv")
    representatives = count_records(folder / "clusters_rep_seq.fasta")
    if not (members == sequences and representatives == clusters > 0):
        hint = " (does a name occur twice in the input?)" if members == sequences else ""
        sys.exit(
            f"{sequences} sequences went in, {members} are in clusters; "
            f"{clusters} clusters have {representatives} representatives{hint}"
        )
    content = {
        "identity": level,
        "input_sequences": sequences,
        "clusters": clusters,
        "source": source,
        "mmseqs": version,
        "method": method.strip(),
        **read_json(folder / "measured.json"),
    }
    write_json(folder / "level.json.partial", content)


def table_row(esmscale: Path, level: float, folder: Path) -> list[str]:
    info = json_of([esmscale, "info", folder / "dataset", "--json"])
    row = [f"{100 * level:g}%", f"{info['sequences']:,}", f"{info['residues']:,}", f"{info['mean_length']:.1f}"]
    if not (folder / "level.json").exists():
        return [*row, "given", "", "", "", ""]
    took = read_json(folder / "level.json")
    return [
        *row,
        f"{100 * took['clusters'] / took['input_sequences']:.1f}%",
        human_seconds(took["seconds"]),
        human_seconds(took["cpu_seconds"]),
        f"{took['peak_memory_bytes'] / 1e9:.2f} GB",
        f"{took['peak_disk_bytes'] / 1e9:.2f} GB",
    ]


def table(esmscale: Path, output: Path, *levels: float) -> None:
    """Print the table of the LEVELS that lie in OUTPUT."""
    print(markdown_table(HEAD, [table_row(esmscale, level, output / f"level{100 * level:g}") for level in levels]))


if __name__ == "__main__":
    run_commands(__doc__, estimate, record, table)
