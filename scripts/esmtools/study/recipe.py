"""What scripts/recipe_study.sh computes from its runs: each recipe against the first, paired by sequence."""

import math
import statistics
from pathlib import Path

from esmtools.commands import run_command
from esmtools.results import Json, fail, markdown_table, read_json, read_metrics, write_json


def seconds_of(run: Path) -> float:
    """Training time: the tokens of the run over the median of its speeds."""
    metrics = read_metrics(run / "metrics.jsonl")
    if not metrics or not metrics[-1].get("finished"):
        fail(f"{run}: expected a finished run; run the script again")
    speeds = [line["train/tokens_per_second"] for line in metrics if line.get("train/tokens_per_second")]
    return float(metrics[-1]["tokens"] / statistics.median(speeds))


def over_seeds(differences: list[Json]) -> Json:
    """The mean over seeds. Its error is the larger of two: the holdout's, which does not shrink as seeds share the
    sequences, and that of the spread of the seeds."""
    values = [each["loss"] for each in differences]
    of_holdout = statistics.mean(each["standard_error"] for each in differences)
    of_seeds = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return dict(mean=statistics.mean(values), error=max(of_holdout, of_seeds), by_seed=differences)


def recipe(runs: Path, results: Path, seeds: int, *recipes: str) -> None:
    """Write recipe.json and README.md into RESULTS from the runs RECIPE-sSEED, for seeds 1 to SEEDS."""
    rows: list[Json] = []
    for name in recipes:
        folders = [runs / f"{name}-s{seed}" for seed in range(1, seeds + 1)]
        losses = [float(read_metrics(folder / "metrics.jsonl")[-1]["eval/loss"]) for folder in folders]
        row: Json = dict(recipe=name, losses=losses, seconds=statistics.mean(map(seconds_of, folders)))
        if name != recipes[0]:
            compared = [read_json(results / f"{name}-s{seed}.json") for seed in range(1, seeds + 1)]
            row["difference"] = over_seeds([each["difference"] for each in compared])
        rows.append(row)
    write_json(results / "recipe.json", dict(baseline=recipes[0], recipes=rows))
    table = [
        [row["recipe"], *(f"{loss:.4f}" for loss in row["losses"]), shown(row), f"{row['seconds']:.0f}"] for row in rows
    ]
    head = ["recipe", *(f"seed {seed}" for seed in range(1, seeds + 1)), f"against {recipes[0]}, nats", "seconds"]
    text = markdown_table(head, table) + "\n"
    (results / "README.md").write_text(text)
    print(text)


def shown(row: Json) -> str:
    difference = row.get("difference")
    return f"{difference['mean']:+.4f} ± {difference['error']:.4f}".replace("-", "−") if difference else ""


if __name__ == "__main__":
    run_command(recipe)
