"""The runs of scripts/recipe_study.sh: which are wanted, in the order of their worth, and how one is made."""

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from esmtools.processes import set_options
from esmtools.results import Json, fail, read_json

# What separates the two recipes, one group a question. The first recipe is Hugging Face's and fair-esm's; of its rate
# and the optimizer's other settings, see `settings_of`.
BASELINE = {
    "optimizer": ["optimizer.name=adamw", "optimizer.weight_decay=0.01"],
    "masks": ["masking.mlm_probability=0.15"],
    "decay": ["schedule.decay_factor=0.1"],
    "init": ["model.init.scheme=hf", "model.init.decoder_bias=zeros"],
}
OURS = {
    "optimizer": ["optimizer.name=normuon", "optimizer.matrix_weight_decay=0"],
    "masks": ["masking.mlm_probability=0.2"],
    "decay": ["schedule.decay_factor=0"],
    "init": ["model.init.scheme=xavier", "model.init.decoder_bias=frequencies"],
}
GROUPS = tuple(BASELINE)
ADAM_RATES = (2e-3, 1e-3, 4e-3)  # swept until the best one has a worse one on either side
MATRIX_RATES = (6e-3, 3e-3, 1.2e-2)
WARMUP = 0.05  # of the tokens of a run
ROWS, BATCH = 256, 2048
STOPPED = 85  # the exit code of a run that a signal stopped, and ours then

Losses = dict[str, float]  # of finished runs, by name


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    heads: int
    tokens: int  # of a run, the longer ones of the baseline aside

    def __str__(self) -> str:
        return f"{self.layers}x{self.width}x{self.heads}"


@dataclass(frozen=True)
class Run:
    size: Size
    changed: tuple[str, ...]  # the groups in which it is ours
    lr: float
    matrix_lr: float = 0.0  # where the optimizer is ours
    multiple: int = 1  # of the size's tokens
    seed: int = 1

    @property
    def name(self) -> str:
        recipe = {(): "baseline", GROUPS: "ours"}.get(self.changed, "+".join(self.changed))
        rates = f"{self.lr:g}" + (f"-{self.matrix_lr:g}" if self.matrix_lr else "")
        return f"{self.size}/{recipe}-{rates}-x{self.multiple}-s{self.seed}"

    @property
    def tokens(self) -> int:
        return self.size.tokens * self.multiple


def settings_of(run: Run) -> list[str]:
    size = run.size
    settings = [f"model.layers={size.layers}", f"model.width={size.width}", f"model.heads={size.heads}"]
    settings += [f"data.max_seq_len={ROWS}", f"train.batch_tokens={BATCH}", "train.epochs=100"]
    settings += [f"train.max_tokens={run.tokens}", f"train.seed={run.seed}", f"optimizer.lr={run.lr:g}"]
    settings += ["schedule.name=linear", f"schedule.warmup_tokens={round(WARMUP * run.tokens)}"]
    if run.matrix_lr:
        settings.append(f"optimizer.matrix_lr={run.matrix_lr:g}")
    for group in GROUPS:
        settings += (OURS if group in run.changed else BASELINE)[group]
    return settings


def sweep(runs: Sequence[Run], key: str, losses: Losses) -> tuple[list[Run], Run | None]:
    """The runs of a sweep over the rate `key`, and the best once it is known to have a worse one on either side."""
    runs = list(runs)
    while all(run.name in losses for run in runs):
        best = min(runs, key=lambda run: losses[run.name])
        rates = sorted(getattr(run, key) for run in runs)
        rate = getattr(best, key)
        if rates[0] < rate < rates[-1]:
            return runs, best
        runs.append(replace(best, **{key: rate / 2 if rate == rates[0] else rate * 2}))
    return runs, None


def wanted_of(size: Size, ablated: bool, losses: Losses) -> Iterator[tuple[int, Run]]:
    """The runs of one size that can be named so far, each with its turn; lower ones come first."""
    runs, base = sweep([Run(size, (), rate) for rate in ADAM_RATES], "lr", losses)
    yield from ((0, run) for run in runs)
    if base is None:
        return
    runs, ours = sweep([Run(size, GROUPS, base.lr, rate) for rate in MATRIX_RATES], "matrix_lr", losses)
    yield from ((0, run) for run in runs)
    if ours is None:
        return
    yield from ((1, replace(run, seed=2)) for run in (base, ours))
    yield 2, replace(base, multiple=2)
    if ablated:
        for group in GROUPS:
            rate = ours.matrix_lr if group == "optimizer" else 0.0
            yield 2, Run(size, (group,), base.lr, rate)
    yield 3, replace(base, multiple=4)
    yield from ((4, replace(ours, lr=rate)) for rate in (base.lr / 2, base.lr * 2))


def wanted(sizes: Sequence[Size], losses: Losses) -> list[Run]:
    """In the order of their worth: sweeps and so the pair, its second seed, twice the tokens, one change at a time
    at the middle size, four times the tokens, other rates of our recipe's Adam. A size is a turn after the smaller."""
    middle = sizes[len(sizes) // 2]
    turns = [
        (place + turn, run) for place, size in enumerate(sizes) for turn, run in wanted_of(size, size == middle, losses)
    ]
    return [run for _, run in sorted(turns, key=lambda each: each[0])]


def result_file(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}.json"


def sums_file(folder: Path, run: Run) -> Path:
    """The holdout losses by sequence."""
    return folder / f"{run.name}.tsv"


def losses_of(folder: Path) -> Losses:
    files = folder.glob("*/*-s*.json")
    return {f"{file.parent.name}/{file.stem}": float(read_json(file)["loss"]) for file in files}


class StoppedError(Exception):
    """A signal stopped a run; it resumes when the script is run again."""


@dataclass
class Maker:
    """Trains and scores runs with one program on one pair of data sets."""

    esmscale: Path
    config: str
    data: Path
    holdout: Path
    sequences: int  # of the holdout
    folder: Path

    def make(self, run: Run) -> None:
        output = self.folder / run.name
        common: list[str | Path] = ["--device", "cpu", "--threads", "1", "--log-level", "warning"]
        train = [self.esmscale, "train", "--config", self.config, "--data", self.data, "--output", output, *common]
        self.call([*train, *set_options([*settings_of(run), "log.every_steps=50", "data.holdout="])])
        score = [self.esmscale, "eval", "--checkpoint", output, "--holdout", self.holdout, *common, "--json"]
        score += ["--max-sequences", str(self.sequences), "--mask-pattern", "bert"]
        sums_file(self.folder, run).unlink(missing_ok=True)
        score += ["--per-sequence", sums_file(self.folder, run)]
        result = result_file(self.folder, run)
        partial = result.with_suffix(".partial")
        partial.write_text(self.call(score))
        partial.rename(result)

    def call(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode == STOPPED:
            raise StoppedError
        if done.returncode != 0:
            fail(f"{' '.join(map(str, command))} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout


class Queue:
    """Hands out wanted runs to several lanes. What is wanted depends on the losses of those that are finished."""

    def __init__(self, sizes: Sequence[Size], folder: Path, deadline: float) -> None:
        self.sizes, self.folder, self.deadline = sizes, folder, deadline
        self.taken: set[str] = set()
        self.running = 0
        self.stopped = False
        self.failure = ""
        self.changed = threading.Condition()

    def take(self) -> Run | None:
        """The next run; waits while none can be named before another has ended. None: there is no more to do."""
        with self.changed:
            while not self.stopped and time.time() < self.deadline:
                losses = losses_of(self.folder)
                free = [r for r in wanted(self.sizes, losses) if r.name not in losses and r.name not in self.taken]
                if free:
                    self.taken.add(free[0].name)
                    self.running += 1
                    return free[0]
                if self.running == 0:
                    return None
                self.changed.wait(timeout=5)
            return None

    def end(self, stopped: bool) -> None:
        with self.changed:
            self.running -= 1
            self.stopped = self.stopped or stopped
            self.changed.notify_all()


def lane(queue: Queue, maker: Maker) -> None:
    while run := queue.take():
        begin = time.time()
        stopped = True
        try:
            maker.make(run)
            stopped = False
            result: Json = read_json(result_file(maker.folder, run))
            print(f"{run.name}: {result['loss']:.4f} ({time.time() - begin:.0f} s)", flush=True)
        except StoppedError:
            print(f"{run.name}: stopped; run the same command again to resume", flush=True)
        except SystemExit as failure:  # a thread would end without a word
            queue.failure = str(failure)
        finally:
            queue.end(stopped)


def make_all(sizes: Sequence[Size], maker: Maker, lanes: int, minutes: float) -> None:
    """Make all wanted runs that are not there, `lanes` at a time; none begins after `minutes`."""
    for size in sizes:
        (maker.folder / str(size)).mkdir(parents=True, exist_ok=True)
    queue = Queue(sizes, maker.folder, time.time() + 60 * minutes if minutes else math.inf)
    threads = [threading.Thread(target=lane, args=(queue, maker)) for _ in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if queue.failure:
        sys.exit(queue.failure)
    if queue.stopped:
        sys.exit(STOPPED)
