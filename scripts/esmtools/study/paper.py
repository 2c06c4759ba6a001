"""Configurations, study.json, submit.sh and a table of predictions for scripts/uniref/paper_study.sh."""

import json
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from esmtools.commands import run_command
from esmtools.processes import json_of, set_options
from esmtools.results import Json, human_count, markdown_table, write_json

MAX_TASK_HOURS = 24  # that a task asks for; a longer run requeues itself and resumes


@dataclass
class Request:
    esmscale: str
    data: str
    holdout: str
    output: Path
    device: str
    name: str = ""


@dataclass
class Run:
    name: str
    model: Json
    config: Json
    plan: Json  # of `esmscale train --dry-run`


def read_plan(path: Path, samples: str) -> Json:
    """The study of a file with // comments; SAMPLES, sizes such as 1000,2000, replace its own."""
    plan: Json = json.loads(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE))
    if samples:
        sizes = sorted(int(size) for size in samples.split(","))
        plan["samples"] = [{"name": f"sampled{size}", "sequences": size} for size in sizes]
    return plan


def dry_run(request: Request, plan: Json, model: Json, sample: Json, schedule: Json) -> Run:
    settings = [
        *(f"{key}={value}" for key, value in plan.get("set", {}).items()),
        f"model.name={model['name']}",
        f"data.sequences={sample['sequences']}",
        f"schedule.name={schedule['schedule']}",
        f"study.name={request.name}_{schedule['name']}",
    ]
    data = ["--data", request.data, "--holdout", request.holdout]
    command = [request.esmscale, "train", "--config", model["config"], *data, "--ranks", str(model["gpus"])]
    result = json_of([*command, "--dry-run", "--json", *set_options(settings)])
    name = f"{model['name']}_{sample['name']}_{schedule['name']}"
    return Run(name, model, result["config"], result["plan"])


def make_runs(request: Request, plan: Json) -> list[Run]:
    return [
        dry_run(request, plan, model, sample, schedule)
        for model in plan["models"]
        for sample in plan["samples"]
        for schedule in plan["schedules"]
    ]


def study_row(run: Run) -> Json:
    shape = run.config["model"]
    return {
        "name": run.name,
        "stage": "run",
        "budget": 0,
        "shape": f"{shape['layers']}x{shape['width']}x{shape['heads']}",
        "parameters": run.plan["parameters"]["kaplan_non_embedding"],
        "tokens": run.plan["tokens"],
        "flops": run.plan["flops"],
        "lr": run.config["optimizer"]["lr"],
    }


def write_study(request: Request, runs: Sequence[Run]) -> None:
    for run in runs:
        write_json(request.output / "configs" / f"{run.name}.json", run.config)
    study = {"format": "esmscale study 1", "name": request.name, "runs": [study_row(run) for run in runs]}
    write_json(request.output / "study.json", study)
    (request.output / "configs.txt").write_text("".join(f"configs/{run.name}.json\n" for run in runs))


def task_hours(runs: Sequence[Run]) -> int:
    """What one task asks for: hours of the slowest run on its GPUs, on the slower device, with a third in reserve."""
    slowest: float = max(1.33 * run.plan["gpu_hours"][0]["hours"] / run.model["gpus"] for run in runs)
    return min(MAX_TASK_HOURS, math.ceil(slowest))


def sbatch_command(request: Request, first: int, runs: Sequence[Run]) -> str:
    """Submits the array of one model; its runs are lines of configs.txt from `first` on."""
    model = runs[0].model
    on_gpu = request.device == "cuda"
    asked = [
        f"--job-name={request.name}-{model['name']}",
        f"--array={first}-{first + len(runs) - 1}",
        "--nodes=1",
        f"--ntasks-per-node={model['gpus']}",
        f"--time={task_hours(runs)}:00:00",
        *([f"--gpus-per-node={model['gpus']}"] if on_gpu else ["--gpus-per-node=0", "--cpus-per-task=1"]),
    ]
    trained = ["--data", request.data, "--holdout", request.holdout, "--device", request.device]
    return shlex.join(["sbatch", *asked, "study.sbatch", *trained])


def write_submit(request: Request, runs: Sequence[Run]) -> None:
    lines = [
        "#!/bin/sh",
        "# One array for each model, the cheap ones first. Submitted again, finished runs end at once.",
        'cd "$(dirname "$0")" || exit',
        "set -e",
    ]
    first = 0
    for model in dict.fromkeys(run.model["name"] for run in runs):
        of_model = [run for run in runs if run.model["name"] == model]
        lines.append(sbatch_command(request, first, of_model))
        first += len(of_model)
    (request.output / "submit.sh").write_text("\n".join(lines) + "\n")


def table_row(name: str, runs: Sequence[Run]) -> list[str]:
    """Runs that differ in their schedule only: they cost the same."""
    plan = runs[0].plan
    return [
        name,
        str(len(runs)),
        human_count(plan["parameters"]["kaplan_non_embedding"]),
        human_count(plan["tokens"]),
        f"{plan['flops']:.2e}",
        str(runs[0].model["gpus"]),
        *(f"{device['hours']:,.3g}" for device in plan["gpu_hours"]),
        f"{plan['memory_per_rank']['total'] / 2**30:.1f} GiB",
    ]


def print_table(runs: Sequence[Run]) -> None:
    devices = [device["device"] for device in runs[0].plan["gpu_hours"]]
    head = ["run", "runs", "N", "D", "FLOPs", "GPUs", *(f"{device} h" for device in devices), "memory per GPU"]
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(run.name.rsplit("_", 1)[0], []).append(run)
    totals = [sum(run.plan["gpu_hours"][i]["hours"] for run in runs) for i in range(len(devices))]
    tokens, flops = (sum(run.plan[key] for run in runs) for key in ("tokens", "flops"))
    total = ["total", str(len(runs)), "", human_count(tokens), f"{flops:.2e}", "", *(f"{t:,.3g}" for t in totals), ""]
    print(markdown_table(head, [*(table_row(name, same) for name, same in alike.items()), total]))
    print(f"\nGPU-hours of one run, at {runs[0].plan['planned_mfu']:.0%} of the dense peak.")


def paper_study(*, esmscale: str, plan: Path, data: str, holdout: str, output: Path, samples: str, device: str) -> None:
    """Lay out the study of PLAN in OUTPUT and print its table."""
    content = read_plan(plan, samples)
    request = Request(esmscale, data, holdout, output, device, content["name"])
    runs = make_runs(request, content)
    runs.sort(key=lambda run: int(run.plan["parameters"]["kaplan_non_embedding"]))
    write_study(request, runs)
    write_submit(request, runs)
    print_table(runs)


if __name__ == "__main__":
    run_command(paper_study)
