"""Numbers 1, 2 and 11, and the clauses of 5 and 6 on studies: processes that start others."""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

from torture.bench import STOPPED, Bench, Process, require, require_no_frames
from torture.kills import run_names, wait_for_end_of
from torture.scenes import (
    ENDLESS,
    QUICK,
    catch_child,
    closed_after_a_line,
    comes,
    has_steps,
    losses_of_trials,
    plan_study,
    runs_undone,
    seal,
    study,
    trials_of,
)

ENOUGH = ["--unique-tokens", "11000"]  # less than an epoch has
SLOWLY = ["--set", "checkpoint.every_tokens=1", "--set", "checkpoint.keep=1"]
HEARTBEAT = 2  # seconds


def require_all_counted(folder: Path, status: int, said: str) -> None:
    losses = losses_of_trials(folder)
    missing = [name for name in trials_of(folder) if (losses or {}).get(name) is None]
    require(losses is None or not missing, f"the learning rate is chosen without {missing}")
    undone = runs_undone(folder)
    require(status != 0 or not undone, f"exit code 0, and not done are {undone}: {said}")


def kill_runner(runner: Process, child: int) -> None:
    os.kill(child, signal.SIGCONT)
    runner.send(signal.SIGKILL)
    runner.wait()


def a_trial_outlives_its_runner(bench: Bench) -> None:
    """A trial that trains slowly: it is stopped as soon as its runner is gone (the kernel wakes one stopped before)."""
    folder = bench.folder / "one"
    plan_study(bench, folder, ENOUGH)
    killed = bench.start(study(bench, "run", folder, SLOWLY))
    child, name = catch_child(killed, folder)
    kill_runner(killed, child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGSTOP)
    runner = bench.start(study(bench, "run", folder, ["--jobs", "2"]))
    comes(runner, lambda: f"waiting for {name}" in runner.said())
    if runner.process.poll() == 0:
        require_all_counted(folder, 0, runner.said())
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
    require_all_counted(folder, runner.wait(), runner.said())
    require(runner.process.returncode == 0, f"the study does not end: {runner.said()}")


def a_stale_record_blocks_nothing(bench: Bench) -> None:
    """The record of a runner that is gone names a process that lives: ours. In the study of the scene before."""
    folder = bench.folder / "one"
    name = run_names(folder)[-1]
    shutil.rmtree(folder / "runs" / name, ignore_errors=True)
    state = json.loads((folder / "state.json").read_text())
    state["running"] = {name: {"process": os.getpid(), "since": 1500000000}}
    seal(bench, folder / "state.json", state, ["study", "status", str(folder)])
    status, process = bench.end(study(bench, "run", folder))
    require(name not in runs_undone(folder), f"{name} is blocked, exit code {status}: {process.said()}")


def planned_with_failures(bench: Bench, folder: Path) -> str:
    """A study whose last trial and main runs fail, each by a file in the place of its folder; that trial's name."""
    plan_study(bench, folder, ENOUGH)
    (folder / "runs").mkdir()
    failing = [trials_of(folder)[-1], *(name for name in run_names(folder) if name not in trials_of(folder))]
    for name in failing:
        (folder / "runs" / name).write_text("a file")
    return failing[0]


def remove_failures(folder: Path) -> None:
    for entry in (folder / "runs").iterdir():
        if entry.is_file():
            entry.unlink()


def a_killed_trial_is_tried_again(bench: Bench) -> None:
    folder = bench.folder / "two"
    failing = planned_with_failures(bench, folder)
    runner = bench.start(study(bench, "run", folder, ["--jobs", "2"]))
    child, name = catch_child(runner, folder)
    os.kill(child, signal.SIGKILL)
    status = runner.wait()
    losses = losses_of_trials(folder)
    require(losses is None or losses.get(name) is not None, f"the rate is chosen without {name}, which was killed")
    require(name not in runs_undone(folder), f"{name}, which was killed, is not tried again: {runner.said()}")
    require(status == 1, f"exit code {status} though {failing} and the main runs failed: {runner.said()}")


def a_retry_reopens_the_choice(bench: Bench) -> None:
    """Goes on with the study of `a_killed_trial_is_tried_again`, in which no main run has trained."""
    folder = bench.folder / "two"
    failing = next(name for name in trials_of(folder) if (folder / "runs" / name).is_file())
    remove_failures(folder)
    killed = bench.start(study(bench, "retry", folder))
    child, _ = catch_child(killed, folder)
    kill_runner(killed, child)
    wait_for_end_of([child], QUICK)
    status, process = bench.end(study(bench, "retry", folder, ["--jobs", "2"]))
    losses = losses_of_trials(folder) or {}
    require(losses.get(failing) is not None, f"the choice is not made again with {failing}: {process.said()}")
    require(status == 0, f"exit code {status} of the retry: {process.said()}")


def a_study_loses_its_reader(bench: Bench) -> None:
    folder = bench.folder / "piped"
    plan_study(bench, folder, [*ENOUGH, "--no-lr-sweep"])
    status = closed_after_a_line(bench, study(bench, "run", folder, ["--jobs", "2"]))
    require(status >= 0, f"a reader that goes ends `study run` with signal {-status}")
    require(not runs_undone(folder), f"a reader that goes leaves runs of the study undone: {runs_undone(folder)}")


def a_study_beyond_its_epochs(bench: Bench) -> None:
    """Planned without data or --unique-tokens: one epoch in every configuration, and more tokens than it has."""
    folder = bench.folder / "long-study"
    plan_study(bench, folder, ["--no-lr-sweep"], budget="2e10")
    status, process = bench.end(study(bench, "run", folder, ["--jobs", "2"]))
    short = [str(row["name"]) for row in json.loads((folder / "study.json").read_text())["runs"]]
    require(status != 0, f"a study whose runs {short[:1]}… need more than their epoch ends with 0: {process.said()}")


# Number 11


def two_ranks(bench: Bench, run: Path, more: list[str]) -> Process:
    ranks = ["--ranks", "2", "--set", f"parallel.heartbeat_seconds={HEARTBEAT}"]
    return bench.start(bench.train_arguments(run, [*ENDLESS, *ranks, *more]))


def require_one_error_after_kill(process: Process, when: str) -> None:
    status = process.wait(QUICK)
    require(status == 1, f"exit code {status} after a kill of a rank {when}: {process.said()}")
    errors = [line for line in process.said().splitlines() if line.startswith("error: ")]
    require(len(errors) == 1, f"{len(errors)} lines of error after a kill of a rank {when}: {process.said()}")
    require_no_frames(process.said())


def a_killed_rank_is_one_error(bench: Bench) -> None:
    early = two_ranks(bench, bench.folder / "killed-early", ["--log-level", "off"])
    require(comes(early, lambda: len(early.children()) == 2), f"no two ranks: {early.said()}")
    os.kill(early.children()[1], signal.SIGKILL)
    run = bench.folder / "killed-in-training"
    later = two_ranks(bench, run, [])
    require(comes(later, lambda: has_steps(run)), f"no step comes: {later.said()}")
    os.kill(later.children()[1], signal.SIGKILL)
    require_one_error_after_kill(later, "in training")
    require_one_error_after_kill(early, "while they connect, without a log")


def require_early_stop(bench: Bench, rank: int) -> None:
    process = two_ranks(bench, bench.folder / f"stopped-early-{rank}", [])
    require(comes(process, lambda: len(process.children()) == 2), f"no two ranks: {process.said()}")
    os.kill(process.children()[rank], signal.SIGTERM)
    status = process.wait(QUICK)
    require(status == STOPPED, f"exit code {status} after SIGTERM to rank {rank}: {process.said()}")
    require("error: " not in process.said(), f"SIGTERM to rank {rank} is an error: {process.said()}")


def a_rank_may_be_stopped_early(bench: Bench) -> None:
    """The signal comes to one rank, mostly before it has a handler: the run is stopped, and has not failed."""
    for rank in (0, 1):
        require_early_stop(bench, rank)


def ranks_end_while_they_connect(bench: Bench) -> None:
    """The launcher and the rank that all others connect to are killed together, as for want of memory."""
    process = two_ranks(bench, bench.folder / "orphans", [])
    require(comes(process, lambda: len(process.children()) == 2), f"no two ranks: {process.said()}")
    first, second = process.children()
    process.send(signal.SIGKILL)
    os.kill(first, signal.SIGKILL)
    process.wait()
    wait_for_end_of([second], HEARTBEAT + 15)
