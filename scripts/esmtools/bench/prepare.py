"""Speed and memory of `esmscale prepare` on a gzip file, next to `zcat FILE > /dev/null`: prints a table in Markdown.

The file holds copies of the quickstart's proteins, gzip members one after the other, unless --input names another. Both
programs read it in turn; figures are medians.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from esmtools.bench.measure import ROOT, Cost, command_line, cost_of, footer, verdict
from esmtools.results import fail, markdown_table

MIN_SPEED, MAX_MEMORY = 0.6, 1.1  # of zcat's speed; of --memory
HEAD = ["program", "seconds", "MB/s of FASTA", "speed / zcat's", "peak memory, MiB", "peak / --memory"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esmscale", default=ROOT / "build/release/esmscale", type=Path)
    parser.add_argument("--input", type=Path, help="a gzip file of proteins")
    parser.add_argument("--copies", default=40, type=int, help="of data/DB.fasta.gz, without --input")
    parser.add_argument("--memory", default=[512, 1024], type=int, nargs="+", help="MiB that prepare may hold")
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    return parser.parse_args()


def copies_of_the_quickstart(copies: int, path: Path) -> Path:
    proteins = ROOT / "data/DB.fasta.gz"
    if not proteins.exists():
        fail(f"{proteins} is missing: run scripts/quickstart.sh, or specify --input")
    with open(path, "wb") as out:
        for _ in range(copies):
            out.write(proteins.read_bytes())
    return path


def measure_zcat(source: Path) -> Cost:
    return cost_of(["zcat", str(source)])


def measure_prepare(options: argparse.Namespace, source: Path, output: Path, memory: int) -> Cost:
    command = [options.esmscale, "prepare", "--input", source, "--output", output, "--memory", f"{memory}MiB"]
    cost = cost_of([*command, "--threads", str(options.threads), "--log-level", "error"])
    shutil.rmtree(output)
    return cost


def main() -> None:
    options = parse()
    zcat_costs: list[Cost] = []
    costs: dict[int, list[Cost]] = {memory: [] for memory in options.memory}
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        source = options.input or copies_of_the_quickstart(options.copies, folder / "proteins.fasta.gz")
        gzip_bytes = source.stat().st_size
        text_bytes = int(subprocess.run(f"zcat '{source}' | wc -c", shell=True, capture_output=True, check=True).stdout)
        for _ in range(options.rounds):
            zcat_costs.append(measure_zcat(source))
            for memory in options.memory:
                costs[memory].append(measure_prepare(options, source, folder / "set", memory))

    zcat = statistics.median(cost.seconds for cost in zcat_costs)
    rows, missed = [["zcat", f"{zcat:.2f}", f"{text_bytes / zcat / 1e6:.0f}", "", "", ""]], []
    for memory in options.memory:
        seconds = statistics.median(cost.seconds for cost in costs[memory])
        peak = max(cost.peak_bytes for cost in costs[memory]) / 2**20
        speeds = [f"{text_bytes / seconds / 1e6:.0f}", f"{zcat / seconds:.2f}"]
        program = f"prepare --memory {memory}MiB"
        rows.append([program, f"{seconds:.2f}", *speeds, f"{peak:.0f}", f"{peak / memory:.2f}"])
        if zcat / seconds < MIN_SPEED or peak > MAX_MEMORY * memory:
            missed.append(f"{memory}MiB")
    sizes = f"{gzip_bytes / 1e6:.0f} MB of gzip, {text_bytes / 1e6:.0f} MB of FASTA"
    print(f"{sizes}, {options.threads} threads, median of {options.rounds}\n\n{markdown_table(HEAD, rows)}")
    print(f"\nTargets: {MIN_SPEED} of zcat's speed, {MAX_MEMORY} of --memory: {verdict(missed)}")
    print(footer(command_line("benchmarks/prepare.py", sys.argv[1:]), options.esmscale))


if __name__ == "__main__":
    main()
