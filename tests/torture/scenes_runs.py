"""Numbers 5 to 9 and 16: one training run, and who reads or stops it."""

import contextlib
import itertools
import json
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from torture.bench import LETTERS, STOPPED, Bench, require, tree_of
from torture.kills import undisturbed_run
from torture.scenes import (
    QUICK,
    closed_after_a_line,
    comes,
    has_checkpoint,
    refused,
    says_finished,
    training,
    write_points,
)

# Number 5


def a_reader_goes_away(bench: Bench) -> None:
    run = bench.folder / "piped-run"
    status = closed_after_a_line(bench, bench.train_arguments(run, []))
    require(status >= 0, f"a reader that goes ends training with signal {-status}")
    require(has_checkpoint(run), "a reader that goes leaves no checkpoint")
    require(says_finished(run), "a reader that goes ends training early")


def finished_means_a_checkpoint(bench: Bench) -> None:
    """Files of 32 KiB hold the metrics and no checkpoint."""
    run = bench.folder / "no-room"
    more = ["--log-level", "error", "--set", "train.epochs=2", "--set", "checkpoint.every_tokens=0"]
    refused(bench, bench.train_arguments(run, more), "a run without room", ["prlimit", "--fsize=32768"])
    require(not has_checkpoint(run), "a checkpoint was written into 32 KiB: the scene is void")
    require(not says_finished(run), "a run without a checkpoint says that it is finished")


def a_hang_up_stops_with_a_checkpoint(bench: Bench) -> None:
    run = bench.folder / "hung-up"
    process = training(bench, run, [])
    process.send(signal.SIGHUP)
    status = process.wait(QUICK)
    require(status == STOPPED, f"exit code {status} after SIGHUP: {process.said()}")


# Number 6


def tokens_beyond_the_epochs(bench: Bench) -> None:
    for more in ([], ["--dry-run"]):
        arguments = bench.train_arguments(bench.folder / "beyond", ["--set", "train.max_tokens=10M", *more])
        said = refused(bench, arguments, f"train.max_tokens=10M of 12 epochs {' '.join(more)}")
        require("epochs" in said, f"the error does not name the epochs: {said}")


# Number 7


def other_holdout(bench: Bench) -> Path:
    folder = bench.folder / "other-holdout"
    if not folder.exists():
        fasta = bench.folder / "other.fasta"
        proteins = ["".join(bench.random.choices(LETTERS, k=40)) for _ in range(20)]
        fasta.write_text("".join(f">other{n}\n{protein}\n" for n, protein in enumerate(proteins)))
        bench.succeed(["prepare", "--input", str(fasta), "--output", str(folder)])
    return folder


def with_holdout(arguments: list[str], holdout: Path) -> list[str]:
    changed = list(arguments)
    changed[changed.index("--holdout") + 1] = str(holdout)
    return changed


def another_holdout_of_a_stopped_run(bench: Bench) -> None:
    run = bench.folder / "stopped"
    more = ["--set", "train.epochs=200", "--set", "checkpoint.every_tokens=4000"]
    process = bench.start(bench.train_arguments(run, more))
    require(comes(process, lambda: has_checkpoint(run)), f"no checkpoint comes: {process.said()}")
    process.send(signal.SIGTERM)
    require(process.wait() == STOPPED, f"the run is not stopped: {process.said()}")
    arguments = with_holdout(bench.train_arguments(run, more), other_holdout(bench))
    refused(bench, arguments, "another holdout on a stopped run")


def another_holdout_of_a_finished_run(bench: Bench) -> None:
    run, _ = undisturbed_run(bench, "undisturbed", [])
    arguments = with_holdout(bench.train_arguments(run, []), other_holdout(bench))
    refused(bench, arguments, "another holdout on a finished run")


def weights_that_are_no_numbers(bench: Bench) -> None:
    """A Hugging Face folder of ours whose first tensor is all NaN."""
    run, _ = undisturbed_run(bench, "undisturbed", [])
    folder = bench.folder / "exported"
    bench.succeed(["export", str(run), "--output", str(folder)])
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    size = struct.unpack("<Q", content[:8])[0]
    tensors = json.loads(content[8 : 8 + size])
    begin, end = next(value["data_offsets"] for name, value in tensors.items() if name != "__metadata__")
    content[8 + size + begin : 8 + size + end] = struct.pack("<f", float("nan")) * ((end - begin) // 4)
    file.write_bytes(content)
    holdout = str(bench.folder / "holdout")
    refused(bench, ["eval", "--checkpoint", str(folder), "--holdout", holdout], "eval of weights that are NaN")
    refused(bench, ["import", str(folder), "--output", str(bench.folder / "imported")], "import of NaN")


# Number 8


def a_dry_run_checks_all(bench: Bench) -> None:
    run, _ = undisturbed_run(bench, "undisturbed", [])
    planned = bench.train_arguments(bench.folder / "planned", ["--dry-run"])
    refused(bench, with_holdout(planned, bench.folder / "absent"), "--dry-run with an absent holdout")
    refused(bench, with_holdout(planned, bench.folder / "set"), "--dry-run with the training set as holdout")
    other_shape = [*planned, "--init-from", str(run), "--set", "model.width=32"]
    refused(bench, other_shape, "--dry-run with --init-from of another shape")


def a_refused_start_leaves_nothing(bench: Bench) -> None:
    for flag in ("--init-from", "--branch-from"):
        run = bench.folder / "refused"
        refused(bench, bench.train_arguments(run, [flag, str(bench.folder / "absent")]), f"{flag} absent")
        require(not run.exists(), f"a refused start with {flag} leaves {sorted(tree_of(run))}")


def results_are_not_overwritten(bench: Bench) -> None:
    points = write_points(bench.folder / "points-8.csv", 6)
    run, _ = undisturbed_run(bench, "undisturbed", [])
    fasta, place = str(bench.folder / "in.fasta"), bench.folder / "results"
    place.mkdir()
    laws = place / "laws"
    verbs = {
        "fasta": (["fasta", str(bench.folder / "set"), "--output", str(place / "fasta")], ["--range", "0:10"]),
        "logits": (
            ["logits", "--checkpoint", str(run), "--input", fasta, "--output", str(place / "l")],
            ["--embeddings"],
        ),
        "eval": (["eval", "--checkpoint", str(run), "--per-sequence", str(place / "eval")], ["--max-sequences", "3"]),
        "fit": (["fit", "--points", str(points), "--bootstrap", "0", "--output", str(laws)], ["--drop-highest", "1"]),
        "plan": (["plan", "--laws", str(laws / "laws.json"), "--output", str(place / "plan"), "--flops"], ["1e18"]),
    }
    overwritten = []
    for verb, (arguments, other) in verbs.items():
        bench.succeed([*arguments, "1e17"] if verb == "plan" else arguments)
        before = tree_of(place)
        status, _ = bench.end([*arguments, *other])
        if status == 0 or tree_of(place) != before:
            overwritten.append(verb)
    require(not overwritten, f"without --force these replace what is there: {', '.join(overwritten)}")


# Number 9


def a_long_step_hears_a_signal(bench: Bench) -> None:
    """15M parameters and 4,096 tokens: a step takes about ten seconds of one core."""
    run = bench.folder / "slow"
    size = ["--set", "model.layers=12", "--set", "model.width=320", "--set", "model.heads=10"]
    more = ["--set", "train.batch_tokens=4096", "--log-level", "warning"]
    process = bench.start(bench.train_arguments(run, [*size, *more]))
    require(comes(process, (run / "environment.json").exists), f"the run does not begin: {process.said()}")
    time.sleep(0.5)
    process.send(signal.SIGTERM)
    heard = comes(process, lambda: "SIGTERM" in process.said(), 2)
    require(heard, f"SIGTERM within a step is not acknowledged in 2 s: {process.said()}")
    status = process.wait(40)
    require(status == STOPPED, f"exit code {status} after SIGTERM: {process.said()}")


# Number 16


@contextlib.contextmanager
def pruned_in_turn(checkpoints: Path) -> Iterator[None]:
    """Two checkpoints, of which the older becomes the newest every millisecond: a run that writes one, keeps one and
    prunes the other does the same, but slowly. One of them is complete at any moment."""
    older, newer = sorted(checkpoints.glob("step-*"))[-2:]
    over = threading.Event()

    def renew(older: Path, newer: Path) -> None:
        for step in itertools.count(1_000_000):
            older, newer = newer, older.rename(checkpoints / f"step-{step:08}")
            if over.wait(0.001):
                return

    pruner = threading.Thread(target=renew, args=(older, newer))
    pruner.start()
    try:
        yield
    finally:
        over.set()
        pruner.join()


def readers_of_a_run_that_prunes(bench: Bench) -> None:
    run = bench.folder / "pruning"
    bench.succeed(bench.train_arguments(run, ["--set", "checkpoint.every_tokens=4000", "--set", "checkpoint.keep=2"]))
    with pruned_in_turn(run / "checkpoints"):
        for number in range(8):
            for verb in (["eval", "--checkpoint", str(run), "--threads", "1"], ["info", str(run)]):
                status, reader = bench.end(verb)
                require(status == 0, f"reader {number}, `{verb[0]}`, of a run that prunes: {reader.said()}")
