#!/usr/bin/env python3
"""Compares the losses of two runs, step by step: an unchanged computation must give an identical loss.

RUN is a run folder or a metrics.jsonl. Every loss of every logged step (train/loss and the eval/ losses) must be the
same number, or differ by at most X nats with --tolerance. A step or loss that only one run has is a difference;
--common compares the steps that both have. Exit status: 0 the same, 1 different (the first step that differs is named),
2 wrong usage or nothing to compare.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from esmtools.results import read_metrics

Losses = dict[str, float | None]  # None: a loss that was not finite


def stop(status: int, message: str) -> NoReturn:
    print(message, file=sys.stdout if status < 2 else sys.stderr)
    sys.exit(status)


def is_loss(key: str) -> bool:
    return key == "train/loss" or key.startswith("eval/loss")


def read_losses(run: Path) -> dict[int, Losses]:
    """By step."""
    path = run / "metrics.jsonl" if run.is_dir() else run
    if not path.is_file():
        stop(2, f"error: {path}: expected a metrics file, found none")
    losses: dict[int, Losses] = {}
    try:
        records = read_metrics(path)
    except SystemExit as error:
        stop(2, str(error))
    for record in records:
        found = {key: value for key, value in record.items() if is_loss(key)}
        if found:
            losses.setdefault(record["step"], {}).update(found)
    return losses


def are_same(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or abs(a - b) <= tolerance


def shown(losses: Losses, key: str) -> str:
    return repr(losses[key]) if key in losses else "no such loss"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="RUN_A", type=Path)
    parser.add_argument("b", metavar="RUN_B", type=Path)
    parser.add_argument("--tolerance", metavar="X", type=float, default=0.0, help="largest difference allowed, nats")
    parser.add_argument("--common", action="store_true", help="only the steps that both runs have")
    options = parser.parse_args()
    a, b = read_losses(options.a), read_losses(options.b)
    steps = sorted(a.keys() & b.keys() if options.common else a.keys() | b.keys())
    if not a or not b or not steps:
        stop(2, "error: no loss to compare")
    for step in steps:
        of_a, of_b = a.get(step, {}), b.get(step, {})
        for key in sorted(of_a.keys() | of_b.keys()):
            in_both = key in of_a and key in of_b
            if not in_both or not are_same(of_a[key], of_b[key], options.tolerance):
                stop(1, f"step {step}: {key} {shown(of_a, key)} against {shown(of_b, key)}")
    stop(0, f"the same losses at {len(steps)} steps, {steps[0]} to {steps[-1]}")


if __name__ == "__main__":
    main()
