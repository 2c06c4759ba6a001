"""What scripts/uniref/diversity.sh extends and prints.

diversity.py extend HASH…              info of a holdout from stdin → its report, for these parts of the training set too
diversity.py table RUNS FILE SEEDS     final losses of every run, into FILE and as a table
"""

import json
import math
import sys
from pathlib import Path

SETS = ("level50", "level40", "sample40", "level30", "sample30", "level20", "sample20")
HOLDOUTS = ("holdout", "holdout_random")


def extend(*hashes):
    info = json.load(sys.stdin)
    report = dict(info["holdout_report"], split=info["split"])
    report["subset_hashes"] = sorted({*report.get("subset_hashes", []), *hashes})
    print(json.dumps(report, indent=2))


def losses_of(runs, name, seeds):
    found = {"set": name, "seeds": seeds}
    for holdout in HOLDOUTS:
        results = [json.loads((runs / f"{name}_s{seed}" / f"{holdout}.json").read_text()) for seed in seeds]
        losses = [result["loss"] for result in results]
        found[holdout] = {"loss": sum(losses) / len(losses), "losses": losses,
                          "standard_error": math.sqrt(sum(result["standard_error"] ** 2 for result in results)) / len(results),
                          "below_baseline": sum(result["below_baseline"] for result in results) / len(results),
                          "label": results[0]["holdout_label"]}
    config = json.loads((runs / f"{name}_s{seeds[0]}" / "config.json").read_text())
    last = json.loads((runs / f"{name}_s{seeds[0]}" / "metrics.jsonl").read_text().splitlines()[-1])
    found |= {"sequences": config["data"]["sequences"], "data": Path(config["data"]["train"]).parent.name,
              "tokens": last["tokens"], "parameters": last["parameters"]}
    return found


def table(runs, output, seeds):
    rows = [losses_of(Path(runs), name, [int(seed) for seed in seeds.split(",")]) for name in SETS]
    Path(output).write_text(json.dumps(rows, indent=2) + "\n")
    print("| training set | checked holdout | random holdout | difference | checked, level − sample |")
    print("| --- | --- | --- | --- | --- |")
    by_name = {row["set"]: row for row in rows}
    for row in rows:
        checked, random = row["holdout"], row["holdout_random"]
        sample = by_name.get(row["set"].replace("level", "sample"))
        against = f"{checked['loss'] - sample['holdout']['loss']:+.4f}" if sample and sample is not row else ""
        print(f"| {row['set']} | {checked['loss']:.4f} ± {checked['standard_error']:.4f} | {random['loss']:.4f} ± "
              f"{random['standard_error']:.4f} | {random['loss'] - checked['loss']:+.4f} | {against} |")


{"extend": extend, "table": table}[sys.argv[1]](*sys.argv[2:])
