"""A small file system that fills up: what was there stays whole, and a run trains on until there is room again."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from torture.bench import Bench, Process, losses_of, partial_files, require, require_one_error, tree_of
from torture.kills import require_equal_runs, train_arguments, undisturbed_run


@contextlib.contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def can_mount(folder: Path) -> bool:
    attempt = folder / "attempt"
    try:
        with small_disk(attempt, 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(attempt, ignore_errors=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte free."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x" * 4096)
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(b"x")
    return filler


def wait_until(process: Process, holds: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while holds not in process.said():
        require(process.process.poll() is None and time.monotonic() < end, f"no '{holds}': {process.said()}")
        time.sleep(0.02)


def wait_for_checkpoint(process: Process, run: Path) -> None:
    end = time.monotonic() + 60
    while not list(run.glob("checkpoints/step-*/checkpoint.json")):
        require(process.process.poll() is None and time.monotonic() < end, f"no checkpoint: {process.said()}")
        time.sleep(0.005)


def begin_full_run(bench: Bench, disk: Path, ranks: list[str], minutes: float) -> tuple[Process, Path, list[str]]:
    """A run whose disk fills up after its first checkpoint."""
    run = disk / "run"
    arguments = train_arguments(bench, run, [*ranks, "--set", f"checkpoint.retry_minutes={minutes}"])
    process = bench.start(arguments)
    wait_for_checkpoint(process, run)
    return process, fill(disk), arguments


def room_comes_back(bench: Bench, ranks: list[str], name: str) -> None:
    undisturbed, _ = undisturbed_run(bench, name, ranks)
    with small_disk(bench.folder / "disk", 4000) as disk:
        process, filler, _ = begin_full_run(bench, disk, ranks, minutes=0.5)
        wait_until(process, "the last checkpoint is good")
        filler.unlink()
        status = process.wait()
        require(status == 0, f"exit code {status} though there was room again: {process.said()}")
        require_equal_runs(disk / "run", undisturbed)


def no_room_comes(bench: Bench, ranks: list[str], name: str) -> None:
    undisturbed, _ = undisturbed_run(bench, name, ranks)
    with small_disk(bench.folder / "disk", 4000) as disk:
        process, filler, arguments = begin_full_run(bench, disk, ranks, minutes=0.02)
        status = process.wait()
        require_one_error(process, status)
        require("the last checkpoint is good" in process.said(), process.said())
        require(not partial_files(disk), f"left behind: {partial_files(disk)}")
        bench.succeed(["info", str(disk / "run"), "--verify"])
        filler.unlink()
        bench.succeed(arguments)
        require_equal_runs(disk / "run", undisturbed)


def results_stay(bench: Bench, disk: Path) -> int:
    """Each verb that makes files, over an earlier result where it can replace one. Its result is the old one."""
    run, _ = undisturbed_run(bench, "undisturbed", [])
    points = bench.folder / "points.csv"
    points.write_text("parameters,tokens,loss\n1e6,1e8,3\n2e6,1e8,2.9\n4e6,1e8,2.85\n")
    force = ["--force"]
    verbs: list[tuple[list[str], list[str]]] = [
        (["fit", "--points", str(points), "--bootstrap", "0", "--output"], force),
        (["plan", "--flops", "1e20", "--law", "cheng-mlm", "--output"], force),
        (["assess", "--law", "cheng-mlm", "--output"], force),
        (["prepare", "--input", str(bench.folder / "in.fasta"), "--output"], force),
        (["fasta", str(bench.folder / "set"), "--output"], force),
        (["logits", "--checkpoint", str(run), "--input", str(bench.folder / "in.fasta"), "--output"], force),
        (["export", str(run), "--output"], []),
        (["study", "plan", "--isoflop", "1e18", "--models", "4"], []),
    ]
    for number, (verb, again) in enumerate(verbs):
        for is_there in (False, True):
            output = disk / f"result-{number}-{is_there}"
            if is_there:
                if verb[0] in ("export", "study"):
                    continue  # they replace nothing
                bench.succeed([*verb, str(output)])
            before = tree_of(disk)
            filler = fill(disk)
            status, process = bench.end([*verb, str(output), *(again if is_there else [])])
            require_one_error(process, status)
            filler.unlink()
            changes = sorted(set(before.items()) ^ set(tree_of(disk).items()))
            require(not changes, f"{verb[0]} on a full disk changed {changes}")
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
    return len(verbs)


def attack(bench: Bench, rounds: int) -> int:
    if os.geteuid() != 0 or not can_mount(bench.folder):
        print("disk: skipped: a tmpfs cannot be mounted here", flush=True)
        return 0
    two = ["--ranks", "2", "--set", "parallel.zero_stage=2", "--set", "parallel.heartbeat_seconds=5"]
    done = 0
    for _ in range(rounds):
        for ranks, name in (([], "undisturbed"), (two, "undisturbed-ranks")):
            room_comes_back(bench, list(ranks), name)
            no_room_comes(bench, list(ranks), name)
            done += 2
    with small_disk(bench.folder / "disk-of-results", 3000) as disk:
        done += results_stay(bench, disk)
    require(bool(losses_of(bench.folder / "undisturbed")), "no losses to compare with")
    return done
