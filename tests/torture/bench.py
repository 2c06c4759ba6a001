"""A folder with a little data set and a model of some thousand parameters, and the program as processes."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LETTERS = "LAGVSERTIDPKQNFYMHWC"
SLOWEST = 120.0  # seconds that one process may take on a busy machine

STOPPED = 85

# Of the losses and checkpoints nothing may depend on the machine.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}


class FindingError(Exception):
    """What the program did against its promises."""


def require(holds: bool, finding: str) -> None:
    if not holds:
        raise FindingError(finding)


class Process:
    """The program with its words in a file."""

    def __init__(self, command: list[str], words: Path) -> None:
        self.command = command
        self.words = words
        self.begin = time.monotonic()
        with words.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, env=ENVIRONMENT
            )

    def said(self) -> str:
        return self.words.read_text(errors="replace")

    def send(self, number: int) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self, seconds: float = SLOWEST) -> int:
        """The exit code, negative for a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise FindingError(f"{' '.join(self.command[1:4])} hangs for {seconds:.0f} s: {self.said()}") from None

    def children(self) -> list[int]:
        """The processes that it started and that live."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self.process.pid and state != "Z":
                    found.append(int(entry.name))
        return sorted(found)


def require_one_error(process: Process, status: int) -> None:
    """A failure is exit code 1 or 2 with one line of error, and no text of a library."""
    said = process.said()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    require(status in (1, 2), f"exit code {status}: {said}")
    require(len(errors) == 1, f"{len(errors)} lines of error: {said}")
    require_no_frames(said)


def require_no_frames(said: str) -> None:
    for mark in ("frame #", "terminate called", "[E", "Exception raised from", "Traceback"):
        require(mark not in said, f"a library's words: {said}")


def tree_of(folder: Path) -> dict[str, str]:
    """Each name in a folder, with what it holds. Links are named and not followed."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(parent) / name
            if path.is_symlink():
                found[str(path.relative_to(folder))] = f"link to {path.readlink()}"
            elif path.is_dir():
                found[str(path.relative_to(folder))] = "folder"
            else:
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def partial_files(folder: Path) -> list[str]:
    return [name for name in tree_of(folder) if ".esmscale-partial" in name or name.endswith(".preparing")]


Losses = dict[tuple[int, str], float]


def losses_of(run: Path) -> Losses:
    """Each loss and gradient norm of a run by step and key. A step twice is a finding."""
    losses: Losses = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row: Mapping[str, object] = json.loads(line)
        for key in ("train/loss", "train/grad_norm", "eval/loss"):
            value, step = row.get(key), row["step"]
            if not isinstance(value, float) or not isinstance(step, int):
                continue
            kind = f"{key} at the end" if row.get("finished") else key
            require((step, kind) not in losses, f"{run}: {key} of step {step} twice")
            losses[step, kind] = value
    return losses


def last_tensors(run: Path) -> str:
    newest = max((run / "checkpoints").glob("step-*"))
    return hashlib.sha256((newest / "tensors.safetensors").read_bytes()).hexdigest()


class Bench:
    """What an attack works with. All that is chosen by chance comes from `random`."""

    def __init__(self, program: Path, folder: Path, seed: int) -> None:
        self.program = program
        self.folder = folder
        self.random = random.Random(seed)
        self.count = 0
        self.write_fasta()
        self.config = folder / "tiny.json"
        self.config.write_text(
            json.dumps(
                {
                    "model": {"name": "tiny", "layers": 1, "width": 16, "heads": 2},
                    "data": {"max_seq_len": 64},
                    "train": {"batch_tokens": 1024, "micro_batch_tokens": 512, "pack_tokens": 128, "epochs": 12},
                    "optimizer": {"lr": 0.01},
                    "checkpoint": {"every_minutes": 0, "every_tokens": 15000},
                    "eval": {"every_tokens": 40000},
                    "log": {"every_steps": 1},
                }
            )
        )
        self.succeed(["prepare", *self.prepare_arguments(folder / "set"), "--holdout-output", str(folder / "holdout")])

    def write_fasta(self) -> None:
        proteins = random.Random(7)
        with (self.folder / "in.fasta").open("w") as out:
            for n in range(340):
                out.write(f">p{n}\n{''.join(proteins.choices(LETTERS, k=proteins.randint(20, 60)))}\n")

    def prepare_arguments(self, output: Path) -> list[str]:
        return ["--input", str(self.folder / "in.fasta"), "--output", str(output), "--holdout", "20", "--deduplicate"]

    def train_arguments(self, run: Path, more: list[str]) -> list[str]:
        common = ["--config", str(self.config), "--data", str(self.folder / "set")]
        common += ["--holdout", str(self.folder / "holdout"), "--output", str(run)]
        return ["train", *common, "--device", "cpu", "--threads", "1", *more]

    def start(self, arguments: list[str], before: Sequence[str] = ()) -> Process:
        """`before`: a program that starts ours, such as prlimit with its options."""
        self.count += 1
        return Process([*before, str(self.program), *arguments], self.folder / f"words-{self.count}")

    def end(self, arguments: list[str]) -> tuple[int, Process]:
        process = self.start(arguments)
        return process.wait(), process

    def succeed(self, arguments: list[str]) -> str:
        status, process = self.end(arguments)
        require(status == 0, f"esmscale {' '.join(arguments)}: exit code {status}: {process.said()}")
        return process.said()

    def sleep(self, longest: float) -> None:
        """Any moment up to `longest`, early ones as likely as late ones."""
        time.sleep(self.random.uniform(0, longest))

    def a_signal(self) -> int:
        return self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        self.count += 1
        yield self.folder / f"{name}-{self.count}"
