"""What the runs of one size say: differences paired by sequence, and the tokens that the baseline would need."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from esmtools.results import Json, read_metrics
from esmtools.study.recipe_runs import (
    ADAM_RATES,
    GROUPS,
    MATRIX_RATES,
    Losses,
    Run,
    Size,
    sums_file,
    sweep,
)

DRAWS = 1000  # of the bootstrap
MULTIPLES = (1, 2, 4)  # of the tokens, in the baseline's curve
MOST = math.log(1e6)  # a curve whose end is level reaches a gain beyond it nowhere

Sums = list[tuple[float, int]]  # summed loss and masked residues of each sequence


def read_sums(file: Path) -> Sums:
    lines = [line.split("\t") for line in file.read_text().splitlines()]
    loss, masked = lines[0].index("loss_sum"), lines[0].index("masked")
    return [(float(line[loss]), int(line[masked])) for line in lines[1:]]


def loss_of(sums: Sums, chosen: Sequence[int] | None = None) -> float:
    parts = sums if chosen is None else [sums[i] for i in chosen]
    return sum(loss for loss, _ in parts) / sum(masked for _, masked in parts)


def paired(a: Sums, b: Sums) -> Json:
    """a − b and its standard error: of a ratio of sums over sequences, whose positions are not independent."""
    masked = sum(m for _, m in a)
    value = (sum(x for x, _ in a) - sum(y for y, _ in b)) / masked
    spread = sum((x - y - value * m) ** 2 for (x, m), (y, _) in zip(a, b, strict=True))
    return dict(value=value, error=math.sqrt(spread * len(a) / (len(a) - 1)) / masked)


def over_seeds(differences: list[Json]) -> Json:
    """The mean over seeds. Its error is the larger of two: the holdout's, which does not shrink as seeds share the
    sequences, and that of the spread of the seeds."""
    values = [each["value"] for each in differences]
    of_holdout = statistics.mean(each["error"] for each in differences)
    of_seeds = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return dict(value=statistics.mean(values), error=max(of_holdout, of_seeds), by_seed=differences)


def multiple_for(gain: float, curve: dict[int, float]) -> float:
    """The multiple of the tokens at which the baseline is better by `gain`: linear in the logarithm of tokens between
    the points of its curve (losses by multiple), and beyond the last two along their line."""
    points = sorted((math.log(multiple), curve[1] - loss) for multiple, loss in curve.items())
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if gain <= y1 or x1 == points[-1][0]:
            return math.exp(min(MOST, x0 + (gain - y0) * (x1 - x0) / max(y1 - y0, 1e-9)))
    return math.nan


@dataclass
class Summary:
    size: Size
    json_: Json
    rates: list[Json] = field(default_factory=list)
    changes: list[Json] = field(default_factory=list)

    def json(self) -> Json:
        return self.json_ | dict(rates=self.rates, changes=self.changes)


def summarise(size: Size, folder: Path, losses: Losses) -> Summary | None:
    """None before both recipes are swept."""
    adam, base = sweep([Run(size, (), rate) for rate in ADAM_RATES], "lr", losses)
    if base is None:
        return None
    matrix, ours = sweep([Run(size, GROUPS, base.lr, rate) for rate in MATRIX_RATES], "matrix_lr", losses)
    if ours is None:
        return None
    sums = Reader(folder, losses)
    seeds = [seed for seed in (1, 2) if all(sums.has(replace(run, seed=seed)) for run in (base, ours))]
    pairs = [(replace(base, seed=seed), replace(ours, seed=seed)) for seed in seeds]
    difference = over_seeds([paired(sums[b], sums[a]) for a, b in pairs])
    curve = {m: replace(base, multiple=m) for m in MULTIPLES if sums.has(replace(base, multiple=m))}
    work = compute_of(folder, base), compute_of(folder, ours)
    factor = factor_of(pairs, curve, sums) if len(curve) > 1 else None
    json_ = dict(
        size=str(size),
        parameters=parameters_of(folder, base),
        tokens=size.tokens,
        baseline=dict(lr=base.lr, losses=[losses[a.name] for a, _ in pairs], flops=work[0]),
        ours=dict(lr=ours.lr, matrix_lr=ours.matrix_lr, losses=[losses[b.name] for _, b in pairs], flops=work[1]),
        curve={m: losses[run.name] for m, run in curve.items()},
        difference=difference,
        token_factor=factor,
        compute_factor=scaled(factor, work[0] / work[1]) if factor else None,
    )
    summary = Summary(size, json_)
    lower = [replace(ours, lr=rate) for rate in (base.lr / 2, base.lr * 2)]
    swept = [(run, base, "baseline", f"{run.lr:g}") for run in adam]
    swept += [(run, ours, "ours", f"{run.matrix_lr:g}, {run.lr:g}") for run in [*matrix, *lower] if sums.has(run)]
    summary.rates = [row_of(run, best, sums, dict(recipe=name, rate=rate)) for run, best, name, rate in swept]
    changed = [Run(size, (g,), base.lr, ours.matrix_lr if g == "optimizer" else 0.0) for g in GROUPS]
    summary.changes = [row_of(run, base, sums, dict(change=run.changed[0])) for run in changed if sums.has(run)]
    return summary


class Reader:
    """Sums by sequence of finished runs."""

    def __init__(self, folder: Path, losses: Losses) -> None:
        self.folder, self.losses = folder, losses
        self.read: dict[str, Sums] = {}

    def has(self, run: Run) -> bool:
        return run.name in self.losses

    def __getitem__(self, run: Run) -> Sums:
        if run.name not in self.read:
            self.read[run.name] = read_sums(sums_file(self.folder, run))
        return self.read[run.name]


def row_of(run: Run, against: Run, sums: Reader, row: Json) -> Json:
    difference = paired(sums[run], sums[against]) if run != against else None
    return row | dict(loss=sums.losses[run.name], difference=difference)


def factor_of(pairs: list[tuple[Run, Run]], curve: dict[int, Run], sums: Reader) -> Json:
    """The factor of tokens and its 95% interval: a bootstrap over sequences, in which each run's loss also moves by
    what another seed changes."""
    noise = random.Random(1)
    used = [run for pair in pairs for run in pair] + list(curve.values())
    of_seed = seed_error(pairs, sums)

    def once(chosen: Sequence[int] | None) -> float:
        moved = {run: loss_of(sums[run], chosen) + (noise.gauss(0, of_seed) if chosen else 0) for run in used}
        gain = statistics.mean(moved[a] - moved[b] for a, b in pairs)
        return multiple_for(gain, {m: moved[run] for m, run in curve.items()})

    count = len(sums[used[0]])
    draws = sorted(once(noise.choices(range(count), k=count)) for _ in range(DRAWS))
    value = once(None)
    low, high = draws[DRAWS // 40], draws[DRAWS - DRAWS // 40 - 1]
    return dict(value=value, low=low, high=min(high, 2.0 * max(curve)), is_beyond=high > max(curve), seed=of_seed)


def seed_error(pairs: list[tuple[Run, Run]], sums: Reader) -> float:
    """Standard deviation of a loss between seeds, from both recipes; 0 with one seed."""
    if len(pairs) < 2:
        return 0.0
    deviations = [statistics.variance(loss_of(sums[run]) for run in runs) for runs in zip(*pairs, strict=True)]
    return math.sqrt(statistics.mean(deviations))


def scaled(factor: Json, by: float) -> Json:
    return factor | {key: factor[key] * by for key in ("value", "low", "high")}


def last_line(folder: Path, run: Run) -> Json:
    return read_metrics(folder / run.name / "metrics.jsonl")[-1]


def parameters_of(folder: Path, run: Run) -> int:
    return int(last_line(folder, run)["parameters"])


def compute_of(folder: Path, run: Run) -> float:
    """Training FLOPs, those of matrix updates included (docs/learning.md, What an update costs)."""
    line = last_line(folder, run)
    matrices = 30 * run.size.width**3 * (10 * run.size.layers + 1) if run.matrix_lr else 0
    return float(line["flops"]) + matrices * float(line["step"])
