"""What scripts/uniref/diversity.sh extends and prints."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from esmtools.commands import run_commands
from esmtools.results import Json, markdown_table, read_json, read_metrics, write_json

LEVELS = (40, 30, 20)
HOLDOUTS = ("holdout", "holdout_random")
HEAD = ["training set", "checked holdout", "random holdout", "level − sample, checked", "level − sample, random"]


def extend(*hashes: str) -> None:
    """Read the info of a holdout from stdin; print its report, valid for the training sets of these HASHES too."""
    info = json.load(sys.stdin)
    report = dict(info["holdout_report"], split=info["split"])
    report["subset_hashes"] = sorted({*report.get("subset_hashes", []), *hashes})
    print(json.dumps(report, indent=2))


def mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def averaged(results: Sequence[Json]) -> Json:
    """Over the seeds. They share the holdout, so its part of the error does not shrink with their number."""
    return {
        "loss": mean(each["loss"] for each in results),
        "losses": [each["loss"] for each in results],
        "standard_error": mean(each["standard_error"] for each in results),
    }


def row_of(runs: Path, name: str, seeds: Sequence[int], results: dict[str, list[Json]]) -> Json:
    """results: for each holdout, the output of `eval` for the run of every seed of this set."""
    folder = runs / f"{name}_s{seeds[0]}"
    data = read_json(folder / "config.json")["data"]
    last = read_metrics(folder / "metrics.jsonl")[-1]
    whole = read_json(Path(data["train"]) / "manifest.json")["content"]["sequences"]
    row: Json = {
        "set": name,
        "seeds": seeds,
        "sequences": data["sequences"] or whole,
        "tokens": last["tokens"],
        "parameters": last["parameters"],
    }
    for holdout, evaluations in results.items():
        row[holdout] = {
            **averaged(evaluations),
            "below_baseline": mean(each["below_baseline"] for each in evaluations),
            "label": evaluations[0]["holdout_label"],
        }
    return row


def read_evaluations(runs: Path, name: str, seeds: Sequence[int]) -> dict[str, list[Json]]:
    return {
        holdout: [read_json(runs / f"{name}_s{seed}" / f"{holdout}.json") for seed in seeds] for holdout in HOLDOUTS
    }


def part(evaluations: dict[str, list[Json]], key: str) -> dict[str, list[Json]]:
    return {holdout: [each[key] for each in results] for holdout, results in evaluations.items()}


def rows_of(runs: Path, seeds: Sequence[int]) -> Iterator[Json]:
    yield row_of(runs, "level50", seeds, read_evaluations(runs, "level50", seeds))
    for level in LEVELS:
        both = read_evaluations(runs, f"level{level}", seeds)
        row = row_of(runs, f"level{level}", seeds, part(both, "a"))
        differences = part(both, "difference")
        row["level_minus_sample"] = {holdout: averaged(results) for holdout, results in differences.items()}
        yield row
        yield row_of(runs, f"sample{level}", seeds, part(both, "b"))


def cells(row: Json) -> list[str]:
    losses = [f"{row[name]['loss']:.4f} ± {row[name]['standard_error']:.4f}" for name in HOLDOUTS]
    against = row.get("level_minus_sample")
    if against is None:
        return [row["set"], *losses, "", ""]
    differences = [f"{against[name]['loss']:+.4f} ± {against[name]['standard_error']:.4f}" for name in HOLDOUTS]
    return [row["set"], *losses, *differences]


def table(runs: Path, output: Path, seeds: str) -> None:
    """Write the final losses of all RUNS of SEEDS (1,2,…) to OUTPUT, and print them as a table."""
    rows = list(rows_of(runs, [int(seed) for seed in seeds.split(",")]))
    write_json(output, rows)
    print(markdown_table(HEAD, map(cells, rows)))


if __name__ == "__main__":
    run_commands(__doc__, extend, table)
