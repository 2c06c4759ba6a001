#!/usr/bin/env python3
"""Speed and memory of `esmscale prepare` on a gzip file, beside `zcat FILE > /dev/null`; prints a table in Markdown.

The file is made of copies of the quickstart's proteins, gzip members one after the other, unless --input names another.
Both programs read it in turn; figures are medians.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import measure

ROOT = pathlib.Path(__file__).resolve().parents[1]
LEAST_SHARE, MOST_MEMORY = 0.6, 1.1  # of zcat's speed; of --memory


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--esmscale", default=ROOT / "build/release/esmscale", type=pathlib.Path)
    parser.add_argument("--input", type=pathlib.Path, help="a gzip file of proteins")
    parser.add_argument("--copies", default=40, type=int, help="of data/DB.fasta.gz, when there is no --input")
    parser.add_argument("--memory", default=[512, 1024], type=int, nargs="+", help="MiB that prepare may hold")
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    return parser.parse_args()


def copies_of_the_quickstart(copies, path):
    proteins = ROOT / "data/DB.fasta.gz"
    if not proteins.exists():
        sys.exit(f"error: {proteins} is not there: run scripts/quickstart.sh, or give --input")
    with open(path, "wb") as out:
        for _ in range(copies):
            out.write(proteins.read_bytes())
    return path


def measure_all(options, source, folder):
    """{name: [Cost of each round]}"""
    costs = {"zcat": [], **{memory: [] for memory in options.memory}}
    for _ in range(options.rounds):
        costs["zcat"].append(measure.cost_of(["zcat", str(source)]))
        for memory in options.memory:
            output = folder / "set"
            costs[memory].append(measure.cost_of(
                [str(options.esmscale), "prepare", "--input", str(source), "--output", str(output), "--memory",
                 f"{memory}MiB", "--threads", str(options.threads), "--log-level", "error"]))
            shutil.rmtree(output)
    return costs


def main():
    options = parse()
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = pathlib.Path(name)
        source = options.input or copies_of_the_quickstart(options.copies, folder / "proteins.fasta.gz")
        gzip_bytes = source.stat().st_size
        text_bytes = int(subprocess.run(f"zcat '{source}' | wc -c", shell=True, capture_output=True, check=True).stdout)
        costs = measure_all(options, source, folder)

    print(f"{gzip_bytes / 1e6:.0f} MB of gzip, {text_bytes / 1e6:.0f} MB of FASTA, {options.threads} threads, median of "
          f"{options.rounds}\n")
    print("| program | seconds | MB/s of FASTA | share of zcat's speed | peak memory, MiB | of --memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    zcat = statistics.median(cost.seconds for cost in costs["zcat"])
    print(f"| zcat | {zcat:.2f} | {text_bytes / zcat / 1e6:.0f} | | | |")
    missed = []
    for memory in options.memory:
        seconds = statistics.median(cost.seconds for cost in costs[memory])
        peak = max(cost.peak_bytes for cost in costs[memory]) / 2**20
        print(f"| prepare --memory {memory}MiB | {seconds:.2f} | {text_bytes / seconds / 1e6:.0f} | {zcat / seconds:.2f} "
              f"| {peak:.0f} | {peak / memory:.2f} |")
        if zcat / seconds < LEAST_SHARE or peak > MOST_MEMORY * memory:
            missed.append(f"{memory}MiB")
    print(f"\nTargets: {LEAST_SHARE} of zcat's speed, {MOST_MEMORY} of --memory: "
          f"{'missed at ' + ', '.join(missed) if missed else 'reached'}")
    print(measure.place_and_time(f"benchmarks/prepare.py {' '.join(sys.argv[1:])}".strip(), str(options.esmscale)))


if __name__ == "__main__":
    main()
