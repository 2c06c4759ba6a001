"""Ends processes at moments chosen by chance, starts them again until they are done, and compares what comes out
with an undisturbed run: every loss of every step and every byte of the last checkpoint."""

import contextlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

from torture.bench import (
    STOPPED,
    Bench,
    FindingError,
    Process,
    last_tensors,
    losses_of,
    partial_files,
    require,
    require_no_frames,
    require_one_error,
    tree_of,
)

KILLS_OF_ONE = 4  # before what is attacked may end in peace


def is_stop(status: int, number: int) -> bool:
    """How a process may end that was sent a signal: done already, stopped, or of the signal itself."""
    return status in (0, -number, *([] if number == signal.SIGKILL else [STOPPED]))


def send_and_wait(bench: Bench, process: Process, longest: float) -> int:
    bench.sleep(longest)
    number = bench.a_signal()
    process.send(number)
    status = process.wait()
    require(is_stop(status, number), f"exit code {status} after signal {number}: {process.said()}")
    require_no_frames(process.said())
    return status


def require_equal_runs(run: Path, undisturbed: Path) -> None:
    ours, theirs = losses_of(run), losses_of(undisturbed)
    different = [key for key in theirs if ours.get(key) != theirs[key]] + [key for key in ours if key not in theirs]
    require(not different, f"{run}: other losses than undisturbed: {different[:3]}")
    require(last_tensors(run) == last_tensors(undisturbed), f"{run}: another last checkpoint than undisturbed")
    require(not partial_files(run), f"{run}: left behind: {partial_files(run)}")


def undisturbed_run(bench: Bench, name: str, more: list[str]) -> tuple[Path, float]:
    """The run and its seconds."""
    run = bench.folder / name
    begin = time.monotonic()
    if not run.exists():
        bench.succeed(bench.train_arguments(run, more))
    return run, time.monotonic() - begin


def train_arguments(bench: Bench, run: Path, more: list[str]) -> list[str]:
    """Some starts write their checkpoints in the background."""
    in_background = json.dumps(bench.random.random() < 0.5)
    return bench.train_arguments(run, [*more, "--set", f"checkpoint.in_background={in_background}"])


def train(bench: Bench, kills: int) -> int:
    """One process."""
    undisturbed, seconds = undisturbed_run(bench, "undisturbed", [])
    done = 0
    while done < kills:
        with bench.new_folder("train") as run:
            for _ in range(min(KILLS_OF_ONE, kills - done)):
                send_and_wait(bench, bench.start(train_arguments(bench, run, [])), seconds)
                done += 1
            bench.succeed(train_arguments(bench, run, []))
            require_equal_runs(run, undisturbed)
            shutil.rmtree(run)
    return done


def wait_for_end_of(pids: list[int], seconds: float) -> None:
    """An orphan that has ended may stay as a zombie where nobody collects it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        alive = []
        for pid in pids:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    alive.append(pid)
        if not alive:
            return
        time.sleep(0.05)
    raise FindingError(f"ranks outlive their launcher by {seconds:.0f} s")


def attack_ranks(bench: Bench, process: Process, longest: float) -> None:
    """A signal to the launcher, or the end of one rank by a kill."""
    bench.sleep(longest)
    ranks = process.children()
    if ranks and bench.random.random() < 0.5:
        with contextlib.suppress(ProcessLookupError):
            os.kill(bench.random.choice(ranks), signal.SIGKILL)
        status = process.wait()
        if status != 0:  # the rank had ended before
            require_one_error(process, status)
            require(status == 1, f"exit code {status}: {process.said()}")
        return
    number = bench.a_signal()
    process.send(number)
    status = process.wait()
    require(is_stop(status, number), f"exit code {status} after signal {number}: {process.said()}")
    require_no_frames(process.said())
    wait_for_end_of(ranks, 30)


def ranks(bench: Bench, kills: int) -> int:
    """Two ranks and their launcher."""
    more = ["--ranks", "2", "--set", "parallel.zero_stage=2", "--set", "parallel.heartbeat_seconds=5"]
    undisturbed, seconds = undisturbed_run(bench, "undisturbed-ranks", more)
    done = 0
    while done < kills:
        with bench.new_folder("ranks") as run:
            for _ in range(min(KILLS_OF_ONE, kills - done)):
                attack_ranks(bench, bench.start(train_arguments(bench, run, more)), seconds)
                done += 1
            bench.succeed(train_arguments(bench, run, more))
            require_equal_runs(run, undisturbed)
            shutil.rmtree(run)
    return done


def plan_study(bench: Bench, folder: Path) -> None:
    budgets = ["--isoflop", "3e9", "--models", "4", "--centre", "30000", "--replicates", "0", "--no-lr-sweep"]
    sizes = ["--max-seq-len", "64", "--precision", "fp32", "--batch-tokens", "256", "--unique-tokens", "11000"]
    bench.succeed(["study", "plan", str(folder), *budgets, *sizes])


def study_arguments(bench: Bench, folder: Path) -> list[str]:
    data = ["--data", str(bench.folder / "set"), "--holdout", str(bench.folder / "holdout")]
    every_step = ["--set", "log.every_steps=1", "--set", "checkpoint.every_tokens=4000"]
    return ["study", "run", str(folder), *data, "--device", "cpu", "--threads", "1", *every_step]


def run_names(folder: Path) -> list[str]:
    rows = json.loads((folder / "study.json").read_text())["runs"]
    return [str(row["name"]) for row in rows]


def study(bench: Bench, kills: int) -> int:
    """The runner of a study; what it trains ends with it, and no run is trained twice."""
    undisturbed = bench.folder / "undisturbed-study"
    plan_study(bench, undisturbed)
    begin = time.monotonic()
    bench.succeed(study_arguments(bench, undisturbed))
    seconds = time.monotonic() - begin
    done = 0
    while done < kills:
        with bench.new_folder("study") as folder:
            plan_study(bench, folder)
            for _ in range(min(KILLS_OF_ONE, kills - done)):
                process = bench.start(study_arguments(bench, folder))
                send_and_wait(bench, process, seconds)
                done += 1
            bench.succeed(study_arguments(bench, folder))
            for name in run_names(folder):
                require_equal_runs(folder / "runs" / name, undisturbed / "runs" / name)
            shutil.rmtree(folder)
    return done


def prepare(bench: Bench, kills: int) -> int:
    """The data set is whole or absent, and the same bytes at the end; so is an earlier one that --force replaces."""
    good = tree_of(bench.folder / "set")
    seconds = 0.4
    for number in range(kills):
        with bench.new_folder("prepared") as folder:
            holdout = Path(f"{folder}-holdout")
            arguments = ["prepare", *bench.prepare_arguments(folder), "--holdout-output", str(holdout)]
            if number % 2 == 1:
                bench.succeed(arguments)
                arguments.append("--force")
            process = bench.start(arguments)
            status = send_and_wait(bench, process, seconds)
            if status != -signal.SIGKILL:
                require(not partial_files(folder), f"left behind: {partial_files(folder)}")
            status, process = bench.end(arguments)
            if status != 0:  # it had ended before the signal
                require_one_error(process, status)
            hashes = tree_of(folder)
            hashes.pop("manifest.json"), good.pop("manifest.json", None)
            require(hashes == good, f"another data set after a kill: {sorted(set(hashes) ^ set(good))}")
            bench.succeed(["info", str(folder), "--verify"])
            bench.succeed(["info", str(holdout), "--verify"])
            shutil.rmtree(folder)
            shutil.rmtree(holdout)
    return kills
