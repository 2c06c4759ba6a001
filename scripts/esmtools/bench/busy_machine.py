"""Training while other processes run: tokens per second alone and with 1 and 2 processes that are always busy.

Each round measures every way to wait (GOMP_SPINCOUNT; `default` is the program's own choice, `libgomp` libgomp's) in
turn, alone and with the busy processes, each in a fresh process for some seconds. A fair share of n cores with k
busy processes is n / (n + k) of the rate alone. The table gives medians over the rounds and tokens per second of
processor time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from esmtools.bench import runs
from esmtools.bench.measure import ROOT, command_line, footer
from esmtools.processes import set_options
from esmtools.results import Json, markdown_table

SPIN = "GOMP_SPINCOUNT"
LIBGOMP = "300000"  # what libgomp takes by itself where threads do not outnumber cores


class Speed(NamedTuple):
    tokens_per_second: float
    tokens_per_cpu_second: float


@contextmanager
def busy(count: int) -> Iterator[None]:
    """That many processes that never wait, each in a session of its own, as another user's would be."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def choose(spin: str) -> None:
    os.environ.pop(SPIN, None)
    if spin != "default":
        os.environ[SPIN] = LIBGOMP if spin == "libgomp" else spin


def speed_of(records: list[Json], cpu_seconds: float) -> Speed:
    """By the records after the first, whose step warms up; processor time includes the start."""
    first, last = records[0], records[-1]
    rate = (last["tokens"] - first["tokens"]) / (last["time"] - first["time"])
    return Speed(rate, last["tokens"] / cpu_seconds)


def measure(options: argparse.Namespace, spin: str, folder: Path) -> Speed:
    command = [
        options.build / "esmscale",
        "train",
        "--config",
        options.config,
        "--data",
        options.data,
        "--device",
        "cpu",
    ]
    settings = ["log.every_steps=1", "checkpoint.every_minutes=0", "data.holdout=", "optimizer.name=adam", *options.set]
    choose(spin)
    before = os.times()
    records, _ = runs.train_for(
        [*command, "--threads", str(options.threads), *set_options(settings)], folder / "run", options.seconds
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return speed_of(records, used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--data", type=Path, default=ROOT / "data/quickstart/train")
    parser.add_argument("--config", default="quickstart")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--busy", type=runs.comma_list, default=["0", "1", "2"])
    parser.add_argument("--spin", type=runs.comma_list, default=["default", "libgomp"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--set", default=[], action="append", metavar="KEY=VALUE")
    options = parser.parse_args()
    speeds: dict[tuple[str, str], list[Speed]] = {}
    for number in range(options.rounds):
        for count in options.busy:
            # The order turns, so that a drift of the machine favours nobody.
            for spin in options.spin if number % 2 == 0 else reversed(options.spin):
                with tempfile.TemporaryDirectory() as folder, busy(int(count)):
                    speeds.setdefault((spin, count), []).append(measure(options, spin, Path(folder)))
    rows = []
    for spin in options.spin:
        rates = {count: [s.tokens_per_second for s in speeds[spin, count]] for count in options.busy}
        alone = statistics.median(rates[options.busy[0]])
        for count in options.busy:
            share = options.threads / (options.threads + int(count))
            rate = statistics.median(rates[count])
            per_cpu = statistics.median(s.tokens_per_cpu_second for s in speeds[spin, count])
            extent = f"{min(rates[count]):,.0f} to {max(rates[count]):,.0f}"
            rows.append([spin, count, f"{rate:,.0f}", extent, f"{per_cpu:,.0f}", f"{rate / alone / share:.0%}"])
    head = ["spin", "busy processes", "tokens/s", "range", "tokens/s of processor", "of the fair share"]
    print(markdown_table(head, rows))
    print(footer(command_line("benchmarks/busy_machine.py", sys.argv[1:]), options.build / "esmscale"))


if __name__ == "__main__":
    main()
