"""What the scenes of findings share: flags that only one program has, checksums, limits, what a run says it is."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from torture.bench import ENVIRONMENT, Bench, FindingError, Process, require, require_one_error
from torture.kills import run_names

QUICK = 30.0  # seconds that a refusal may take on a busy machine
ENDLESS = ["--set", "train.epochs=10000", "--set", "checkpoint.every_tokens=4000"]


def help_of(bench: Bench, verb: list[str]) -> str:
    shown = subprocess.run([bench.program, *verb, "--help"], capture_output=True, text=True, env=ENVIRONMENT)
    return shown.stdout


def force(bench: Bench, verb: list[str]) -> list[str]:
    """The flag that replaces an earlier result; programs that always did had none."""
    return ["--force"] if "--force" in help_of(bench, verb) else []


def comes(process: Process, holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it holds in time, and before the process ends."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end or process.process.poll() is not None:
            return False
        time.sleep(0.005)
    return True


def refused(bench: Bench, arguments: list[str], what: str, before: Sequence[str] = ()) -> str:
    """Ends with 1 or 2 and one line of error, within `QUICK` seconds."""
    process = bench.start(arguments, before)
    status = process.wait(QUICK)
    require_refusal(process, status, what)
    return process.said()


def require_refusal(process: Process, status: int, what: str) -> None:
    require(status != 0, f"{what} is accepted (exit code 0)")
    try:
        require_one_error(process, status)
    except FindingError as finding:
        raise FindingError(f"{what}: {finding}") from None


def one_line(said: str, what: str) -> None:
    require(said.count("\n") == 1, f"{what}: an error of {said.count(chr(10))} lines: {said}")
    controls = [letter for letter in said[:-1] if ord(letter) < 0x20 or ord(letter) == 0x7F]
    require(not controls, f"{what}: a control character is printed: {said!r}")
    for mark in ("[json.exception", "filesystem error", "std::", "basic_string"):
        require(mark not in said, f"{what}: a library's words: {said}")


def closed_after_a_line(bench: Bench, arguments: list[str]) -> int:
    """The exit code of a program whose one reader takes a line of its output and goes."""
    command = [str(bench.program), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        try:
            return process.wait(QUICK * 2)
        except subprocess.TimeoutExpired:
            process.kill()
            raise FindingError(f"{arguments[0]} hangs when its reader goes") from None


def rows_of(run: Path) -> list[dict[str, object]]:
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def has_steps(run: Path) -> bool:
    return bool(rows_of(run))


def says_finished(run: Path) -> bool:
    return any(row.get("finished") for row in rows_of(run))


def has_checkpoint(run: Path) -> bool:
    return bool(list(run.glob("checkpoints/step-*/checkpoint.json")))


def training(bench: Bench, run: Path, more: list[str]) -> Process:
    """A run without an end that has a checkpoint."""
    process = bench.start(bench.train_arguments(run, [*ENDLESS, *more]))
    require(comes(process, lambda: has_checkpoint(run)), f"no checkpoint comes: {process.said()}")
    return process


def write_points(file: Path, sizes: int) -> Path:
    """Points of L = 1.8 + 15/N^0.3 + 60/D^0.3 with noise: all sizes lie about the optimum, where any approach fits."""
    noise = random.Random(5)
    rows = ["parameters,tokens,loss\n"]
    for n in (1e6 * 2**k for k in range(sizes)):
        for d in (1e8 * 2**k for k in range(6)):
            rows.append(f"{n},{d},{1.8 + 15 / n**0.3 + 60 / d**0.3 + noise.gauss(0, 0.002):.4f}\n")
    file.write_text("".join(rows))
    return file


def end_all_of(folder: Path) -> None:
    """Kills the processes whose command line names the folder, which is of our own making."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int(entry.name) != os.getpid() and str(folder).encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def plan_study(bench: Bench, folder: Path, more: list[str], budget: str = "3e9") -> None:
    """Four models of 30 to 120 thousand parameters."""
    sizes = ["--isoflop", budget, "--models", "4", "--centre", "60000", "--spread", "2", "--replicates", "0"]
    options = ["--max-seq-len", "64", "--precision", "fp32", "--batch-tokens", "256", *more]
    if "--centre" in help_of(bench, ["study", "plan"]):
        bench.succeed(["study", "plan", str(folder), *sizes, *options])
    else:  # before `study plan`
        bench.succeed(["plan", "--output", str(folder), *sizes, *options])


def study(bench: Bench, action: str, folder: Path, more: Sequence[str] = ()) -> list[str]:
    data = ["--data", str(bench.folder / "set"), "--holdout", str(bench.folder / "holdout")]
    common = ["--device", "cpu", "--threads", "1", "--set", "log.every_steps=1"]
    return ["study", action, str(folder), *data, *common, *more]


def trials_of(folder: Path) -> list[str]:
    return [name for name in run_names(folder) if name.startswith("lr")]


def losses_of_trials(folder: Path) -> dict[str, object] | None:
    """What the learning rate was chosen by; none where nothing is chosen."""
    choice = json.loads((folder / "state.json").read_text())["learning_rate"]
    return {trial["run"]: trial["loss"] for trial in choice["trials"]} if choice else None


def runs_undone(folder: Path) -> list[str]:
    return [name for name in run_names(folder) if not says_finished(folder / "runs" / name)]


def catch_child(runner: Process, folder: Path) -> tuple[int, str]:
    """Stops a run of a study in the middle of its training: its process and name."""
    begin = time.monotonic()
    while runner.process.poll() is None and time.monotonic() < begin + 60:
        for child in runner.children():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
                runs = [Path(word) for word in words if str(folder / "runs") in word]
                if not runs or not has_steps(runs[0]):
                    continue
                os.kill(child, signal.SIGSTOP)
                if not says_finished(runs[0]):
                    return child, runs[0].name
                os.kill(child, signal.SIGCONT)
    raise FindingError(f"no run of the study was seen in training: {runner.said()}")


def seal(bench: Bench, file: Path, document: dict[str, object], reader: list[str]) -> None:
    """Writes a file of ours with the checksums that the program wants: it names them where it finds others."""
    document["checksum"] = "0" * 32
    for _ in range(4):
        file.write_text(json.dumps(document))
        _, process = bench.end(reader)
        checksum = re.search(r"expected checksum \w+, found (\w{32})", process.said())
        content = re.search(r"expected hash (\w{32}), as", process.said())
        if checksum:
            document["checksum"] = checksum[1]
        elif content:
            document["hash"] = content[1]
        else:
            return
    raise FindingError(f"{file} cannot be sealed: {process.said()}")
