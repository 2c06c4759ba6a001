"""What scripts/study_cpu.sh computes from the files of a study: its arms, its prediction, the metrics to keep."""

import json
import math
import pathlib
import shutil
import sys

ARMS = (("decay", "exponential"), ("constant", "constant"))
SEEDS = (1, 2)


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def final_line(run):
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    if not line.get("finished"):
        sys.exit(f"error: {run}: expected a finished run, found step {line['step']}; run the script again")
    return line


def arm_sizes(study):
    """The main runs of seed 1 at the second budget (the first, if it is the only one), at a third and two thirds of its sizes."""
    runs = [run for run in read(study / "study.json")["runs"] if run["stage"] == "isoflop" and run["seed"] == 1]
    budgets = sorted({run["budget"] for run in runs})
    profile = [run for run in runs if run["budget"] == budgets[min(1, len(budgets) - 1)]]
    profile.sort(key=lambda run: run["parameters"])
    return [profile[len(profile) // 3], profile[2 * len(profile) // 3]]


def arm_folder(study, size, arm, seed):
    # The decaying run of seed 1 is a main run.
    if (arm, seed) == ("decay", 1):
        return study / "runs" / size["name"]
    return study / "arms" / f"{arm}_{size['shape']}_s{seed}"


def list_arms(study):
    for size in arm_sizes(study):
        for arm, schedule in ARMS:
            for seed in SEEDS:
                folder = arm_folder(study, size, arm, seed)
                if folder.parent.name == "arms":
                    print(folder.name, study / size["config"], schedule, seed)


def compare_arms(study, output):
    """decay − constant, paired by seed; its error is that of the mean over seeds."""
    rows = []
    for size in arm_sizes(study):
        losses = {arm: [final_line(arm_folder(study, size, arm, seed))["eval/loss"] for seed in SEEDS] for arm, _ in ARMS}
        differences = [a - b for a, b in zip(losses["decay"], losses["constant"])]
        mean = sum(differences) / len(differences)
        variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
        rows.append({"shape": size["shape"], "parameters": size["parameters"], "tokens": size["tokens"], **losses,
                     "decay_minus_constant": mean, "error": math.sqrt(variance / len(differences))})
        print(f"{size['shape']}: decay − constant = {mean:+.4f} ± {rows[-1]['error']:.4f} nats (seeds {SEEDS})")
    mean = sum(row["decay_minus_constant"] for row in rows) / len(rows)
    error = math.sqrt(sum(row["error"] ** 2 for row in rows)) / len(rows)
    output.write_text(json.dumps({"seeds": SEEDS, "sizes": rows, "decay_minus_constant": mean, "error": error}, indent=2) + "\n")


def chosen_rate(study, config):
    """The rate of the plan's rule times the factor that the sweep chose."""
    choice = read(study / "state.json")["learning_rate"]
    print(read(config)["optimizer"]["lr"] * (choice["factor"] if choice else 1))


def compare_prediction(run, prediction, output):
    plan, last = read(prediction), final_line(run)
    optimum = plan["optimum"]["loss"]
    predicted = optimum["value"] + (plan["shape"]["nats_lost"] or 0)
    outcome = {"flops": plan["flops"], "shape": plan["shape"]["name"], "predicted": predicted,
               "interval_of_the_optimum": optimum.get("interval"), "measured": last["eval/loss"],
               "standard_error": last["eval/standard_error"], "difference": last["eval/loss"] - predicted}
    output.write_text(json.dumps(outcome, indent=2) + "\n")
    print(f"predicted {predicted:.4f}, measured {outcome['measured']:.4f} ± {outcome['standard_error']:.4f} nats")


def keep_metrics(study, folder):
    """Configuration and metrics of every run: what a fit reads, without checkpoints."""
    for metrics in sorted(study.glob("*/*/metrics.jsonl")):
        kept = folder / metrics.parent.relative_to(study)
        kept.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "config.json", "environment.json"):
            shutil.copy(metrics.parent / name, kept / name)


def main():
    commands = {"list-arms": list_arms, "compare-arms": compare_arms, "chosen-rate": chosen_rate,
                "compare-prediction": compare_prediction, "keep-metrics": keep_metrics}
    commands[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))


main()
