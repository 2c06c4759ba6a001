"""Two processes at a time on one folder: one works, the other is refused, and the result is that of one alone.
Readers of a run that writes and prunes find a whole checkpoint at any time."""

import json
import shutil
from pathlib import Path

from torture.bench import Bench, FindingError, require, require_one_error
from torture.kills import require_equal_runs, undisturbed_run


def two_runs(bench: Bench) -> None:
    undisturbed, _ = undisturbed_run(bench, "undisturbed", [])
    with bench.new_folder("two") as run:
        both = [bench.start(bench.train_arguments(run, [])) for _ in range(2)]
        statuses = [process.wait() for process in both]
        require(0 in statuses, f"none of two is done: {both[0].said()} {both[1].said()}")
        for status, process in zip(statuses, both, strict=True):
            if status != 0:
                require_one_error(process, status)
                require("no other process" in process.said(), process.said())
        require_equal_runs(run, undisturbed)
        shutil.rmtree(run)


def two_sets(bench: Bench) -> None:
    with bench.new_folder("sets") as folder:
        arguments = ["prepare", "--input", str(bench.folder / "in.fasta"), "--output", str(folder)]
        both = [bench.start(arguments) for _ in range(2)]
        statuses = [process.wait() for process in both]
        require(0 in statuses, f"none of two is done: {both[0].said()} {both[1].said()}")
        for status, process in zip(statuses, both, strict=True):
            if status != 0:
                require_one_error(process, status)
        bench.succeed(["info", str(folder), "--verify"])
        shutil.rmtree(folder)


def readers_beside_a_run(bench: Bench) -> int:
    """A checkpoint a step, of which one is kept."""
    with bench.new_folder("pruning") as run:
        often = ["--set", "checkpoint.every_tokens=1", "--set", "checkpoint.keep=1", "--set", "train.epochs=40"]
        process = bench.start(bench.train_arguments(run, [*often, "--set", "eval.every_tokens=0"]))
        while process.process.poll() is None and not list(run.glob("checkpoints/step-*/checkpoint.json")):
            pass
        count = 0
        while process.process.poll() is None:
            count += 1
            output = Path(f"{run}-exported-{count}")
            for verb in (
                ["info", str(run)],
                ["eval", "--checkpoint", str(run)],
                ["export", str(run), "--output", str(output)],
            ):
                status, reader = bench.end(verb)
                if status != 0:
                    raise FindingError(f"{verb[0]} while a run prunes: {reader.said()}")
            shutil.rmtree(output)
        require(process.wait() == 0, process.said())
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        require(bool(rows[-1].get("finished")), "the run did not finish")
        shutil.rmtree(run)
    return 3 * count


def attack(bench: Bench, rounds: int) -> int:
    done = 0
    for _ in range(rounds):
        two_runs(bench)
        two_sets(bench)
        done += 2 + readers_beside_a_run(bench)
    return done
