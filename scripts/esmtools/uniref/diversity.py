"""What scripts/uniref/diversity.sh extends and prints.

diversity.py extend HASH…              info of a holdout from stdin → its report, for these parts of the training set too
diversity.py table RUNS FILE SEEDS     final losses of every run, into FILE and as a table
"""

import json
import sys
from pathlib import Path

LEVELS = (40, 30, 20)
HOLDOUTS = ("holdout", "holdout_random")


def extend(*hashes):
    info = json.load(sys.stdin)
    report = dict(info["holdout_report"], split=info["split"])
    report["subset_hashes"] = sorted({*report.get("subset_hashes", []), *hashes})
    print(json.dumps(report, indent=2))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def averaged(results):
    """Of every seed. They share the holdout, so its part of the error does not shrink with their number."""
    return {"loss": mean(each["loss"] for each in results), "losses": [each["loss"] for each in results],
            "standard_error": mean(each["standard_error"] for each in results)}


def row_of(runs, name, seeds, results):
    """results: for each holdout what `eval` said of this set's run of every seed."""
    folder = runs / f"{name}_s{seeds[0]}"
    data = json.loads((folder / "config.json").read_text())["data"]
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    whole = json.loads((Path(data["train"]) / "manifest.json").read_text())["content"]["sequences"]
    row = {"set": name, "seeds": seeds, "sequences": data["sequences"] or whole, "tokens": last["tokens"],
           "parameters": last["parameters"]}
    for holdout, said in results.items():
        row[holdout] = {**averaged(said), "below_baseline": mean(each["below_baseline"] for each in said),
                        "label": said[0]["holdout_label"]}
    return row


def rows_of(runs, seeds):
    def read(name):
        return {holdout: [json.loads((runs / f"{name}_s{seed}" / f"{holdout}.json").read_text()) for seed in seeds]
                for holdout in HOLDOUTS}

    def part(said, key):
        return {holdout: [each[key] for each in results] for holdout, results in said.items()}

    yield row_of(runs, "level50", seeds, read("level50"))
    for level in LEVELS:
        both = read(f"level{level}")
        row = row_of(runs, f"level{level}", seeds, part(both, "a"))
        row["level_minus_sample"] = {holdout: averaged(said) for holdout, said in part(both, "difference").items()}
        yield row
        yield row_of(runs, f"sample{level}", seeds, part(both, "b"))


def table(runs, output, seeds):
    rows = list(rows_of(Path(runs), [int(seed) for seed in seeds.split(",")]))
    Path(output).write_text(json.dumps(rows, indent=2) + "\n")
    print("| training set | checked holdout | random holdout | level − sample, checked | level − sample, random |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows:
        cells = [f"{row[name]['loss']:.4f} ± {row[name]['standard_error']:.4f}" for name in HOLDOUTS]
        against = row.get("level_minus_sample")
        cells += [f"{against[name]['loss']:+.4f} ± {against[name]['standard_error']:.4f}" if against else ""
                  for name in HOLDOUTS]
        print(f"| {row['set']} | " + " | ".join(cells) + " |")


{"extend": extend, "table": table}[sys.argv[1]](*sys.argv[2:])
