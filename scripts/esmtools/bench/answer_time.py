"""How soon the verbs answer that only read numbers, and how soon training has done its first step: prints a table in
Markdown, medians of warm runs."""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from esmtools.bench.measure import ROOT, command_line, cost_of, footer, verdict
from esmtools.bench.runs import train_for
from esmtools.processes import set_options
from esmtools.results import markdown_table

TARGET_SECONDS = 0.5
TARGET_FIRST_STEP = 3.0
STEP_TOKENS = 4096
HEAD = ["command", "seconds", "slowest", "CPU seconds", "peak memory, MiB"]


def first_step(esmscale: Path, data: Path) -> tuple[float, float]:
    """Seconds from the start of `train` to the end of its first step, and of its second step alone."""
    settings = set_options([f"train.batch_tokens={STEP_TOKENS}", "log.every_steps=1", "checkpoint.every_minutes=0"])
    command: list[str | Path] = [esmscale, "train", "--config", "esm2_8M", "--data", data, "--device", "cpu", *settings]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.time()
        records, _ = train_for(command, Path(folder) / "run", 0)
    return records[0]["time"] - begin, records[1]["time"] - records[0]["time"]


def print_first_step(esmscale: Path, data: Path, rounds: int) -> None:
    firsts, steps = zip(*[first_step(esmscale, data) for _ in range(rounds)], strict=True)
    seconds = statistics.median(firsts)
    print(
        f"\n`train` of esm2_8M on the CPU has done its first step of {STEP_TOKENS} tokens after {seconds:.2f} s "
        f"(slowest {max(firsts):.2f}); its second takes {statistics.median(steps):.2f} s"
    )
    print(f"Target: {TARGET_FIRST_STEP} s: {'reached' if seconds <= TARGET_FIRST_STEP else 'missed'}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esmscale", default=ROOT / "build/release/esmscale", type=Path)
    parser.add_argument("--data", default=ROOT / "data/quickstart/train", type=Path)
    parser.add_argument("--run", default=ROOT / "runs/quickstart", type=Path)
    parser.add_argument("--rounds", default=11, type=int)
    return parser.parse_args()


def main() -> None:
    options = parse()
    data, run, rounds = str(options.data), str(options.run), options.rounds
    commands = [
        ["--version"],
        ["config", "--json"],
        ["count-flops", "--json"],
        ["count-flops", "--config", "esm2_35M.json", "--data", data, "--json"],
        ["info", data, "--json"],
        ["info", run, "--json"],
        ["train", "--config", "esm2_35M.json", "--data", data, "--dry-run", "--json"],
    ]
    rows, missed = [], []
    for command in commands:
        full = [str(options.esmscale), *command]
        cost_of(full)  # warm
        costs = [cost_of(full) for _ in range(rounds)]
        seconds = statistics.median(cost.seconds for cost in costs)
        cpu_seconds = statistics.median(cost.cpu_seconds for cost in costs)
        peak = max(cost.peak_bytes for cost in costs) / 2**20
        shown = " ".join(command).replace(f"{ROOT}/", "")
        slowest = max(cost.seconds for cost in costs)
        rows.append([shown, f"{seconds:.3f}", f"{slowest:.3f}", f"{cpu_seconds:.3f}", f"{peak:.0f}"])
        if seconds > TARGET_SECONDS:
            missed.append(shown)
    print(f"Median of {rounds} warm runs\n\n{markdown_table(HEAD, rows)}")
    print(f"\nTarget: {TARGET_SECONDS} s: {verdict(missed)}")
    print_first_step(options.esmscale, options.data, rounds)
    print(footer(command_line("benchmarks/answer_time.py", sys.argv[1:]), options.esmscale))


if __name__ == "__main__":
    main()
