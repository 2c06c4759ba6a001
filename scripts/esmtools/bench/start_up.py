"""How long training takes to start on 64 million sequences, and how much memory.

Makes a data set of that many sequences of 10 residues in FOLDER/set (kept for the next time) and one of 1,000, and
trains the quickstart's model on both for two steps: seconds from the start of the process to its end, and its peak of
resident memory, medians of three. Lengths, index and identifiers are mapped, so most of the difference is pages of
lengths that were read once.
"""

import argparse
import shutil
import statistics
import subprocess
from pathlib import Path

from esmtools.bench.measure import ROOT, Cost, cost_of
from esmtools.processes import set_options
from esmtools.results import markdown_table

LENGTH = 10
ROUNDS = 3


def make_set(build: Path, folder: Path, sequences: int) -> Path:
    if not (folder / "set/manifest.json").exists():
        sizes = ["--residues", str(LENGTH * sequences), "--length", str(LENGTH)]
        subprocess.run([build / "benchmark_prepare_scale", folder, *sizes, "--keep"], check=True)
    return folder / "set"


def start(build: Path, data: Path, run: Path) -> Cost:
    shutil.rmtree(run, ignore_errors=True)
    config = ROOT / "configs/quickstart.json"
    folders: list[str | Path] = ["--data", data, "--output", run]
    command: list[str | Path] = [build / "esmscale", "train", "--config", config, *folders, "--device", "cpu"]
    return cost_of([*command, *set_options(["data.holdout=", "train.max_tokens=4096"])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sequences", type=int, nargs="?", default=64_000_000)
    parser.add_argument("build", type=Path, nargs="?", default=ROOT / "build/release")
    options = parser.parse_args()
    rows = []
    for count, place in ((1_000, options.folder / "small"), (options.sequences, options.folder)):
        data = make_set(options.build, place, count)
        costs = [start(options.build, data, options.folder / "run") for _ in range(ROUNDS)]
        seconds = statistics.median(cost.seconds for cost in costs)
        memory = statistics.median(cost.peak_bytes for cost in costs) / 2**20
        rows.append([f"{count:,}", f"{seconds:.2f}", f"{memory:.0f} MiB"])
    print(markdown_table(["sequences", "seconds to train two steps", "peak memory"], rows))


if __name__ == "__main__":
    main()
