#!/usr/bin/env python3
"""How soon the verbs answer that only look at numbers; prints a table in Markdown, medians of warm runs."""

import argparse
import pathlib
import statistics
import sys

import measure

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOST_SECONDS = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--esmscale", default=ROOT / "build/release/esmscale", type=pathlib.Path)
    parser.add_argument("--data", default=ROOT / "data/quickstart/train", type=pathlib.Path)
    parser.add_argument("--run", default=ROOT / "runs/quickstart", type=pathlib.Path)
    parser.add_argument("--rounds", default=11, type=int)
    options = parser.parse_args()

    commands = [["--version"], ["config", "--json"], ["count-flops", "--json"],
                ["count-flops", "--config", "esm2_35M.json", "--data", str(options.data), "--json"],
                ["info", str(options.data), "--json"], ["info", str(options.run), "--json"],
                ["train", "--config", "esm2_35M.json", "--data", str(options.data), "--dry-run", "--json"]]
    print(f"Median of {options.rounds} warm runs\n\n| command | seconds | slowest | peak memory, MiB |\n| --- | --- | --- | --- |")
    missed = []
    for command in commands:
        full = [str(options.esmscale), *command]
        measure.cost_of(full)  # warm
        costs = [measure.cost_of(full) for _ in range(options.rounds)]
        seconds = statistics.median(cost.seconds for cost in costs)
        shown = " ".join(command).replace(str(ROOT) + "/", "")
        print(f"| {shown} | {seconds:.3f} | {max(cost.seconds for cost in costs):.3f} "
              f"| {max(cost.peak_bytes for cost in costs) / 2**20:.0f} |")
        if seconds > MOST_SECONDS:
            missed.append(shown)
    print(f"\nTarget: {MOST_SECONDS} s: {'missed by ' + '; '.join(missed) if missed else 'reached'}")
    print(measure.place_and_time(f"benchmarks/answer_time.py {' '.join(sys.argv[1:])}".strip(), str(options.esmscale)))


if __name__ == "__main__":
    main()
