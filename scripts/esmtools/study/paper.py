"""Lays out the study of a file for scripts/uniref/paper_study.sh, by `esmscale study`, and prints what it costs."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from esmtools.commands import run_command
from esmtools.processes import json_of, set_options
from esmtools.results import Json, human_count, markdown_table

MAX_TASK_HOURS = 24  # that a task asks for; a longer run requeues itself and resumes


@dataclass
class Request:
    esmscale: str
    data: str
    holdout: str
    output: Path


@dataclass
class Group:
    """The runs of one model on one sample: they differ in the schedule only, and cost the same."""

    model: Json
    sequences: int
    schedules: list[str]
    settings: list[str]
    plan: Json  # of `esmscale train --dry-run`

    @property
    def hours(self) -> float:
        """Of one run on its GPUs, on the slower device, with a third in reserve."""
        return 1.33 * float(self.plan["gpu_hours"][0]["hours"]) / int(self.model["gpus"])


def read_study(path: Path, samples: str) -> Json:
    """The study of a file with // comments; SAMPLES, sizes such as 1000,2000, replace its own."""
    study: Json = json.loads(re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE))
    if samples:
        study["samples"] = sorted(int(size) for size in samples.split(","))
    return study


def group_of(request: Request, study: Json, model: Json, sequences: int) -> Group:
    settings = [*(f"{key}={value}" for key, value in study.get("set", {}).items()), f"model.name={model['name']}"]
    data = ["--data", request.data, "--holdout", request.holdout]
    command = [request.esmscale, "train", "--config", model["config"], *data, "--ranks", str(model["gpus"])]
    of_sample = [*settings, f"data.sequences={sequences}"]
    plan = json_of([*command, "--dry-run", "--json", *set_options(of_sample)])["plan"]
    return Group(model, sequences, study["schedules"], settings, plan)


def groups_of(request: Request, study: Json) -> list[Group]:
    groups = [group_of(request, study, model, size) for model in study["models"] for size in study["samples"]]
    return sorted(groups, key=lambda group: int(group.plan["parameters"]["kaplan_non_embedding"]))


def layout_options(request: Request, of_model: Sequence[Group]) -> list[str]:
    """Of `study arms` and `study add`, for the runs of one model."""
    model, settings = of_model[0].model, of_model[0].settings
    vary = [f"schedule.name={','.join(of_model[0].schedules)}"]
    samples = ",".join(str(group.sequences) for group in of_model)
    if len(of_model) > 1:
        vary.insert(0, f"data.sequences={samples}")
    else:
        settings = [*settings, f"data.sequences={samples}"]
    hours = min(MAX_TASK_HOURS, math.ceil(max(group.hours for group in of_model)))
    sizes = ["--gpus", str(model["gpus"]), "--hours", str(hours), "--data", request.data]
    varied = [word for factor in vary for word in ("--vary", factor)]
    return ["--base", str(model["config"]), *sizes, *set_options(settings), *varied]


def lay_out(request: Request, name: str, groups: Sequence[Group]) -> None:
    """The first model's runs make the study, the others are added to it."""
    study = [request.esmscale, "study"]
    for i, model in enumerate(dict.fromkeys(str(group.model["name"]) for group in groups)):
        options = layout_options(request, [group for group in groups if group.model["name"] == model])
        if i == 0:
            json_of([*study, "arms", request.output, "--json", "--name", name, "--prefix", model, *options])
        else:
            as_points = ["--stage", "main", "--seeds", "1"]
            json_of([*study, "add", request.output, "--json", "--name", model, *as_points, *options])


def print_table(groups: Sequence[Group]) -> None:
    devices = [device["device"] for device in groups[0].plan["gpu_hours"]]
    head = ["model", "sequences", "runs", "N", "D", "FLOPs", "GPUs", *(f"{d} h" for d in devices), "memory per GPU"]
    rows, totals = [], [0.0] * (2 + len(devices))
    for group in groups:
        plan, runs = group.plan, len(group.schedules)
        hours = [float(device["hours"]) for device in plan["gpu_hours"]]
        for i, value in enumerate([float(plan["tokens"]), float(plan["flops"]), *hours]):
            totals[i] += runs * value
        rows.append(
            [
                str(group.model["name"]),
                human_count(group.sequences),
                str(runs),
                human_count(plan["parameters"]["kaplan_non_embedding"]),
                human_count(plan["tokens"]),
                f"{plan['flops']:.2e}",
                str(group.model["gpus"]),
                *(f"{h:,.3g}" for h in hours),
                f"{plan['memory_per_rank']['total'] / 2**30:.1f} GiB",
            ]
        )
    runs = sum(len(group.schedules) for group in groups)
    sums = [human_count(totals[0]), f"{totals[1]:.2e}", "", *(f"{h:,.3g}" for h in totals[2:]), ""]
    print(markdown_table(head, [*rows, ["total", "", str(runs), "", *sums]]))
    print(f"\nGPU-hours of one run, at {groups[0].plan['planned_mfu']:.0%} of the dense peak.")


def paper_study(*, esmscale: str, plan: Path, data: str, holdout: str, output: Path, samples: str) -> None:
    """Lay out the study of PLAN in OUTPUT and print its table."""
    study = read_study(plan, samples)
    request = Request(esmscale, data, holdout, output)
    groups = groups_of(request, study)
    lay_out(request, str(study["name"]), groups)
    print_table(groups)


if __name__ == "__main__":
    run_command(paper_study)
