#!/usr/bin/env bash
# Compares the losses of two runs, step by step: an unchanged computation must give an identical loss.
#
#   scripts/same_losses.sh RUN_A RUN_B [--tolerance X] [--common]
#
# RUN is a run folder or a metrics.jsonl. Every loss of every logged step (train/loss and the eval/ losses) must be
# the same number, or differ by at most X nats with --tolerance. A step or loss that only one run has is a
# difference; --common compares the steps that both have. Exit status: 0 the same, 1 different (the first step that
# differs is named), 2 wrong usage or nothing to compare. Needs python3, no packages.
set -euo pipefail
exec python3 - "$@" <<'PYTHON'
import argparse
import json
import pathlib
import sys


def stop(status, message):
    print(message, file=sys.stdout if status < 2 else sys.stderr)
    sys.exit(status)


def is_loss(key):
    return key == "train/loss" or key.startswith("eval/loss")


def read_losses(run):
    """{step: {key: loss}} of the lines that hold losses; a last line that was cut short is passed over."""
    path = pathlib.Path(run)
    path = path / "metrics.jsonl" if path.is_dir() else path
    if not path.is_file():
        stop(2, f"error: {path}: expected a metrics file, found none")
    losses = {}
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
        except ValueError:
            if number == len(lines):
                break
            stop(2, f"error: {path}:{number}: expected JSON, found '{line[:60]}'")
        found = {key: value for key, value in content.items() if is_loss(key)}
        if found:
            losses.setdefault(content["step"], {}).update(found)
    return losses


def same(a, b, tolerance):
    if a is None or b is None:  # a loss that was not finite
        return a is b
    return a == b or abs(a - b) <= tolerance


def shown(losses, key):
    return repr(losses[key]) if key in losses else "no such loss"


def main():
    parser = argparse.ArgumentParser(prog="same_losses.sh", description="Compares the losses of two runs.")
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest difference allowed, nats")
    parser.add_argument("--common", action="store_true", help="only the steps that both runs have")
    options = parser.parse_args()
    a, b = read_losses(options.a), read_losses(options.b)
    steps = sorted(a.keys() & b.keys() if options.common else a.keys() | b.keys())
    if not a or not b or not steps:
        stop(2, "error: no loss to compare")
    for step in steps:
        mine, theirs = a.get(step, {}), b.get(step, {})
        for key in sorted(mine.keys() | theirs.keys()):
            both = key in mine and key in theirs
            if not both or not same(mine[key], theirs[key], options.tolerance):
                stop(1, f"step {step}: {key} {shown(mine, key)} against {shown(theirs, key)}")
    stop(0, f"the same losses at {len(steps)} steps, {steps[0]} to {steps[-1]}")


main()
PYTHON
