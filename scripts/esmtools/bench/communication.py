"""Bytes that ranks send, for benchmarks/communication.sh."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from esmtools.results import Json, markdown_table, read_metrics

TENTHS = 10
FIRST_STEPS = 2  # they allocate and connect
MAX_RATIO = 1.05  # of the bytes that stage 0 sends to the least possible


def bytes_sent() -> int:
    """By the loopback device of this network namespace, since it was made."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split()[9])
    return 0


def loopback_up() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def training_steps(run: Path) -> list[Json]:
    return [record for record in read_metrics(run / "metrics.jsonl") if "train/loss" in record]


Sample = tuple[float, int]  # time, bytes so far


def record(command: Sequence[str]) -> list[Sample]:
    """About every millisecond while the command runs."""
    loopback_up()
    samples = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            samples.append((time.time(), bytes_sent()))
            time.sleep(0.001)
        if process.returncode != 0:
            sys.exit(process.stderr.read() if process.stderr else "")
    return samples


def shares(samples: Sequence[Sample], ends: Sequence[float]) -> list[float]:
    """For each tenth of a step, the mean share of the bytes that the step sent."""
    sums = [0.0] * TENTHS
    for begin, end in zip(ends, ends[1:], strict=False):
        inside = [(at, count) for at, count in samples if begin <= at < end]
        total = inside[-1][1] - inside[0][1]
        for (at, count), (_, following) in zip(inside, inside[1:], strict=False):
            sums[int(TENTHS * (at - begin) / (end - begin))] += (following - count) / total
    return [one / (len(ends) - 1) for one in sums]


def when(run: Path, command: list[str]) -> None:
    samples = record(command)
    steps = training_steps(run)[FIRST_STEPS:]
    ends = [step["time"] for step in steps]
    waits = sorted(step["train/communication_wait_seconds"] for step in steps)
    lengths = sorted(end - begin for begin, end in zip(ends, ends[1:], strict=False))
    print(
        f"{len(lengths)} steps, median {1e3 * lengths[len(lengths) // 2]:.0f} ms, of which rank 0 waits "
        f"{1e3 * waits[len(waits) // 2]:.0f} ms for communication"
    )
    head = ["tenth of the step", *map(str, range(1, TENTHS + 1))]
    row = ["share of its bytes", *(f"{100 * one:.0f}%" for one in shares(samples, ends))]
    print(markdown_table(head, [row]))


def count(output: Path, command: list[str]) -> None:
    loopback_up()
    status = subprocess.run(command, stdout=sys.stderr).returncode
    if status:
        sys.exit(status)
    output.write_text(f"{bytes_sent()}\n")


def compare(few: Path, many: Path, bytes_few: int, bytes_many: int, ranks: int, stage: int, micro_batches: int) -> None:
    steps_few, steps_many = training_steps(few), training_steps(many)
    sent = (bytes_many - bytes_few) / (len(steps_many) - len(steps_few)) / ranks
    least = steps_many[-1]["train/communication_least_bytes"]
    ratio, counted = sent / least, steps_many[-1]["train/communication_bytes"] / sent
    print(f"{ranks:5} {stage:5} {micro_batches:13} {sent:14,.0f} {least:14,.0f} {ratio:6.3f} {counted:8.3f}")
    sys.exit(stage == 0 and ratio > MAX_RATIO)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)
    text = "run a training of RUN and print which share of a step's bytes leaves in which tenth of the step"
    one = commands.add_parser("when", help=text, description=text)
    one.add_argument("run", type=Path)
    one.add_argument("command", nargs=argparse.REMAINDER)
    text = "run a command and write to OUTPUT the bytes that the loopback device sent"
    one = commands.add_parser("count", help=text, description=text)
    one.add_argument("output", type=Path)
    one.add_argument("command", nargs=argparse.REMAINDER)
    text = "print the bytes of a step from two runs of different length; status 1 if stage 0 sends too many"
    one = commands.add_parser("compare", help=text, description=text)
    for name in ("few", "many"):
        one.add_argument(name, type=Path)
    for name in ("bytes_few", "bytes_many", "ranks", "stage", "micro_batches"):
        one.add_argument(name, type=int)
    given = vars(parser.parse_args())
    actions: dict[str, Callable[..., None]] = {"when": when, "count": count, "compare": compare}
    actions[given.pop("action")](**given)


if __name__ == "__main__":
    main()
