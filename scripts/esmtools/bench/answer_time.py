#!/usr/bin/env python3
"""How soon the verbs answer that only look at numbers, and how soon training does its first step; prints a table in
Markdown, medians of warm runs."""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time

import measure
from training_runs import train_for

ROOT = pathlib.Path(__file__).resolve().parents[1]
MOST_SECONDS = 0.5
MOST_SECONDS_TO_FIRST_STEP = 3.0
STEP_TOKENS = 4096


def first_step(options):
    """Seconds from the start of `train` to the end of its first step, and those of its second step alone."""
    settings = [f"train.batch_tokens={STEP_TOKENS}", "log.every_steps=1", "checkpoint.every_minutes=0"]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        lines, _ = train_for([str(options.esmscale), "train", "--config", "esm2_8M", "--data", str(options.data),
                              "--device", "cpu", *[word for setting in settings for word in ("--set", setting)]],
                             pathlib.Path(folder) / "run", 0)
    return lines[0]["time"] - begin, lines[1]["time"] - lines[0]["time"]


def print_first_step(options):
    firsts, steps = zip(*[first_step(options) for _ in range(options.rounds)])
    seconds = statistics.median(firsts)
    print(f"\n`train` of esm2_8M on the CPU has done its first step of {STEP_TOKENS} tokens after {seconds:.2f} s (slowest "
          f"{max(firsts):.2f}); its second takes {statistics.median(steps):.2f} s")
    print(f"Target: {MOST_SECONDS_TO_FIRST_STEP} s: {'reached' if seconds <= MOST_SECONDS_TO_FIRST_STEP else 'missed'}")


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
    print(f"Median of {options.rounds} warm runs\n\n| command | seconds | slowest | of a processor | peak memory, MiB |")
    print("| --- | --- | --- | --- | --- |")
    missed = []
    for command in commands:
        full = [str(options.esmscale), *command]
        measure.cost_of(full)  # warm
        costs = [measure.cost_of(full) for _ in range(options.rounds)]
        seconds = statistics.median(cost.seconds for cost in costs)
        shown = " ".join(command).replace(str(ROOT) + "/", "")
        print(f"| {shown} | {seconds:.3f} | {max(cost.seconds for cost in costs):.3f} "
              f"| {statistics.median(cost.cpu_seconds for cost in costs):.3f} "
              f"| {max(cost.peak_bytes for cost in costs) / 2**20:.0f} |")
        if seconds > MOST_SECONDS:
            missed.append(shown)
    print(f"\nTarget: {MOST_SECONDS} s: {'missed by ' + '; '.join(missed) if missed else 'reached'}")
    print_first_step(options)
    print(measure.place_and_time(f"benchmarks/answer_time.py {' '.join(sys.argv[1:])}".strip(), str(options.esmscale)))


if __name__ == "__main__":
    main()
