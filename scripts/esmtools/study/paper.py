"""Configurations, study.json, submit.sh and a table of predictions for scripts/uniref/paper_study.sh."""

import argparse
import json
import math
import re
import shlex
import subprocess
from pathlib import Path

LONGEST_TASK = 24  # hours that a task asks for; a longer run requeues itself and goes on


def read_plan(path):
    return json.loads(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE))


def dry_run(given, model, sample, schedule):
    settings = {"model.name": model["name"], "data.sequences": sample["sequences"],
                "schedule.name": schedule["schedule"], "study.name": f"{given.name}_{schedule['name']}"}
    command = [given.esmscale, "train", "--config", model["config"], "--data", given.data, "--holdout", given.holdout,
               "--ranks", str(model["gpus"]), "--dry-run", "--json"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    return json.loads(subprocess.check_output(command))


def make_runs(given, plan):
    runs = []
    for model in plan["models"]:
        for sample in plan["samples"]:
            for schedule in plan["schedules"]:
                made = dry_run(given, model, sample, schedule)
                runs.append({"name": f"{model['name']}_{sample['name']}_{schedule['name']}", "model": model, **made})
    return runs


def write_study(given, runs):
    rows = []
    for run in runs:
        (given.output / "configs" / f"{run['name']}.json").write_text(json.dumps(run["config"], indent=2) + "\n")
        shape, plan = run["config"]["model"], run["plan"]
        rows.append({"name": run["name"], "stage": "run", "budget": 0,
                     "shape": f"{shape['layers']}x{shape['width']}x{shape['heads']}",
                     "parameters": plan["parameters"]["kaplan_non_embedding"], "tokens": plan["tokens"],
                     "flops": plan["flops"], "lr": run["config"]["optimizer"]["lr"]})
    (given.output / "study.json").write_text(
        json.dumps({"format": "esmscale study 1", "name": given.name, "runs": rows}, indent=2) + "\n")
    (given.output / "configs.txt").write_text("".join(f"configs/{run['name']}.json\n" for run in runs))


def slowest_hours(runs):
    """Of one task on its GPUs, on the slower device, with a third in reserve."""
    return max(1.33 * run["plan"]["gpu_hours"][0]["hours"] / run["model"]["gpus"] for run in runs)


def write_submit(given, runs):
    lines = ["#!/bin/sh", "# One array a model, the cheap ones first. Submitted again, finished runs end at once.",
             'cd "$(dirname "$0")"', "set -e"]
    for model in dict.fromkeys(run["model"]["name"] for run in runs):
        of_model = [i for i, run in enumerate(runs) if run["model"]["name"] == model]
        gpus = runs[of_model[0]]["model"]["gpus"]
        hours = min(LONGEST_TASK, math.ceil(slowest_hours([runs[i] for i in of_model])))
        asked = [f"--job-name={given.name}-{model}", f"--array={of_model[0]}-{of_model[-1]}", "--nodes=1",
                 f"--ntasks-per-node={gpus}", f"--time={hours}:00:00",
                 *([f"--gpus-per-node={gpus}"] if given.device == "cuda" else ["--gpus-per-node=0", "--cpus-per-task=1"])]
        trained = ["--data", given.data, "--holdout", given.holdout, "--device", given.device]
        lines.append(shlex.join(["sbatch", *asked, "study.sbatch", *trained]))
    (given.output / "submit.sh").write_text("\n".join(lines) + "\n")


def count(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


def print_table(runs):
    devices = [device["device"] for device in runs[0]["plan"]["gpu_hours"]]
    print(f"| run | how many | N | D | FLOPs | GPUs | {' h | '.join(devices)} h | memory a GPU |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    sums, alike = [0.0] * len(devices), {}
    for run in runs:  # a schedule costs nothing
        alike.setdefault(run["name"].rsplit("_", 1)[0], []).append(run)
        sums = [total + device["hours"] for total, device in zip(sums, run["plan"]["gpu_hours"])]
    for name, same in alike.items():
        run, plan = same[0], same[0]["plan"]
        hours = [device["hours"] for device in plan["gpu_hours"]]
        print(f"| {name} | {len(same)} | {count(plan['parameters']['kaplan_non_embedding'])} | {count(plan['tokens'])} | "
              f"{plan['flops']:.2e} | {run['model']['gpus']} | {' | '.join(f'{each:,.3g}' for each in hours)} | "
              f"{plan['memory_per_rank']['total'] / 2**30:.1f} GiB |")
    print(f"| in all | {len(runs)} | | {count(sum(run['plan']['tokens'] for run in runs))} | "
          f"{sum(run['plan']['flops'] for run in runs):.2e} | | {' | '.join(f'{total:,.3g}' for total in sums)} | |")
    print(f"\nGPU-hours of one run, at {runs[0]['plan']['planned_mfu']:.0%} of the dense peak.")


def main():
    parser = argparse.ArgumentParser()
    for name in ("esmscale", "data", "holdout", "samples", "device"):
        parser.add_argument("--" + name, required=True)
    for name in ("plan", "output"):
        parser.add_argument("--" + name, type=Path, required=True)
    given = parser.parse_args()
    plan = read_plan(given.plan)
    given.name = plan["name"]
    if given.samples:
        sizes = [int(size) for size in given.samples.split(",")]
        plan["samples"] = [{"name": f"sampled{size}", "sequences": size} for size in sorted(sizes)]
    runs = sorted(make_runs(given, plan), key=lambda run: run["plan"]["parameters"]["kaplan_non_embedding"])
    write_study(given, runs)
    write_submit(given, runs)
    print_table(runs)


main()
