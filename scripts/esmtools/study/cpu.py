"""What scripts/study_cpu.sh asks of a study: the runs that it adds, its groups of seeds, its prediction."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from esmtools.commands import run_commands
from esmtools.processes import json_of, set_options
from esmtools.results import Json, fail, has_ended, read_json, read_metrics, write_json

SEEDS = (1, 2)
SCHEDULES = ("exponential", "constant")
HORIZONS = (("third", 1 / 3), ("whole", 1.0))  # of the tokens of the run that branches are compared with
DECAY = 0.2  # last part of the schedule wsd; the default of schedule.decay_fraction


def final_record(run: Path) -> Json:
    records = read_metrics(run / "metrics.jsonl")
    if not has_ended(run, records):
        step = records[-1]["step"] if records else 0
        fail(f"{run}: expected a finished run with its checkpoint, found step {step}; run the script again")
    return records[-1]


def final_loss(run: Path) -> float:
    loss: float = final_record(run)["eval/loss"]
    return loss


def all_runs(study: Path) -> list[Json]:
    runs: list[Json] = read_json(study / "study.json")["runs"]
    return runs


def main_runs(study: Path) -> list[Json]:
    return [run for run in all_runs(study) if run["stage"] == "main"]


def arm_sizes(study: Path) -> list[Json]:
    """The main runs of seed 1 at the second budget (or the only one), at a third and two thirds of its sizes."""
    runs = [run for run in main_runs(study) if run["seed"] == 1]
    budgets = sorted({run["budget"] for run in runs})
    profile = [run for run in runs if run["budget"] == budgets[min(1, len(budgets) - 1)]]
    profile.sort(key=lambda run: int(run["parameters"]))
    return [profile[len(profile) // 3], profile[2 * len(profile) // 3]]


def add(esmscale: Path, study: Path, base: str, name: str, settings: Sequence[str], *more: str) -> None:
    """The run or runs NAME, unless they are there."""
    if any(run["name"] == name or run["name"].startswith(f"{name}_") for run in all_runs(study)):
        return
    command: list[str | Path] = [esmscale, "study", "add", study, "--base", base, "--name", name, "--json"]
    json_of([*command, *set_options(settings), *more])


def decay_arms(size: Json) -> str:
    return f"decay_{size['shape']}"


def add_arms(esmscale: Path, study: Path) -> None:
    """At two sizes: each schedule with each seed."""
    vary = ["--vary", f"schedule.name={','.join(SCHEDULES)}", "--seeds", str(len(SEEDS))]
    for size in arm_sizes(study):
        add(esmscale, study, size["name"], decay_arms(size), [], *vary)


def add_branches(esmscale: Path, study: Path) -> None:
    """At one size and two horizons: a trunk in two pieces, a branch at the end of each, a run of its own."""
    size = arm_sizes(study)[0]
    tokens = size["tokens"]
    warmup = f"schedule.warmup_tokens={int(tokens * HORIZONS[0][1] * (1 - DECAY) / 10)}"
    decay = f"schedule.decay_fraction={DECAY}"
    for seed in SEEDS:
        parent: list[str] = []
        for horizon, share in HORIZONS:
            end, trunk = round(share * tokens), f"trunk-{horizon}-s{seed}"
            of_seed, of_run = f"train.seed={seed}", f"train.max_tokens={end}"
            before_decay = f"train.max_tokens={round((1 - DECAY) * end)}"
            pieces = {
                trunk: ["schedule.name=constant", before_decay, of_seed, warmup],
                f"branch-{horizon}-s{seed}": ["schedule.name=wsd", of_run, of_seed, warmup, decay],
                f"own-{horizon}-s{seed}": ["schedule.name=exponential", of_run, of_seed],
            }
            for name, settings in pieces.items():
                add(esmscale, study, size["name"], name, settings, *([] if name.startswith("own") else parent))
                parent = ["--branch-from", trunk]


def link_groups(study: Path, folder: Path) -> None:
    """FOLDER/HORIZON/branch and own: links to the runs of all seeds, for `esmscale compare`."""
    for horizon, _ in HORIZONS:
        for kind in ("branch", "own"):
            group = folder / horizon / kind
            group.mkdir(parents=True, exist_ok=True)
            for seed in SEEDS:
                link = group / f"s{seed}"
                link.unlink(missing_ok=True)
                link.symlink_to((study / "runs" / f"{kind}-{horizon}-s{seed}").resolve())


def power_law(flops: float, log_cc: float, alpha: float, floor: float = 0.0) -> float:
    return floor + math.exp(alpha * (log_cc - math.log(flops)))


def central(drawn: Sequence[float], level: float) -> list[float] | None:
    """The central share `level` of sorted values, linear between them; None if there are too few."""
    if len(drawn) < 20:
        return None

    def at(quantile: float) -> float:
        place = quantile * (len(drawn) - 1)
        below = min(int(place), len(drawn) - 2)
        return drawn[below] + (place - below) * (drawn[below + 1] - drawn[below])

    return [at((1 - level) / 2), at((1 + level) / 2)]


def frontier_prediction(law: Json, flops: float) -> tuple[str, Json]:
    """The form of Kaplan's L(C) that fits better, and its loss at a budget with intervals."""
    form = "pure" if law["better"] == "pure" or law["irreducible"] is None else "irreducible"
    fit = law[form]
    drawn = sorted(power_law(flops, *row) for row in fit["draws"])
    loss = power_law(flops, math.log(fit["Cc"]), fit["alpha_C"], fit.get("L_inf", 0))
    return form, {"value": loss, "interval": central(drawn, 0.95), "interval_80": central(drawn, 0.8)}


def predict_by_frontier(esmscale: Path, study: Path, laws: Path, flops: float) -> None:
    """Without an optimum: L(C) of LAWS predicts the loss, and the best size of the largest budget is trained longer."""
    law = read_json(laws)["kaplan"]["L_C"]
    if law is None:
        fail(f"{laws}: expected Kaplan's L(C), found null")
    form, loss = frontier_prediction(law, flops)
    runs = main_runs(study)
    largest = max(run["budget"] for run in runs)
    of_largest = [run for run in runs if run["budget"] == largest]
    best = min(of_largest, key=lambda run: final_loss(study / "runs" / str(run["name"])))
    longer = flops / largest
    tokens = round(best["tokens"] * longer)
    config = read_json(study / "configs" / f"{best['name']}.json")
    # max_tokens ends the run, so the number of epochs only has to be large enough.
    settings = [
        f"train.max_tokens={tokens}",
        f"train.epochs={config['train']['epochs'] * math.ceil(longer)}",
        f"schedule.warmup_tokens={round(config['schedule']['warmup_tokens'] * longer)}",
        f"study.budget={flops}",
    ]
    add(esmscale, study, best["name"], "next", settings)
    shape = {"name": best["shape"], "parameters": best["parameters"], "tokens": tokens, "nats_lost": None}
    source = {"name": "Kaplan L(C)", "form": form, "points": law["points"]}
    print(json.dumps({"flops": flops, "law": source, "optimum": {"loss": loss}, "shape": shape}, indent=2))


def compare_prediction(run: Path, prediction: Path, output: Path) -> None:
    """Write to OUTPUT the difference between the loss of RUN and the PREDICTION."""
    plan, last = read_json(prediction), final_record(run)
    optimum = plan["optimum"]["loss"]
    if optimum["value"] is None:
        fail(f"{prediction}: expected a predicted loss, found none: its law predicts no loss")
    predicted = optimum["value"] + (plan["shape"]["nats_lost"] or 0)
    measured, error = last["eval/loss"], last["eval/standard_error"]
    content = {
        "flops": plan["flops"],
        "shape": plan["shape"]["name"],
        "predicted": predicted,
        "interval_of_the_optimum": optimum["interval"],
        "measured": measured,
        "standard_error": error,
        "difference": measured - predicted,
    }
    write_json(output, content)
    print(f"predicted {predicted:.4f}, measured {measured:.4f} ± {error:.4f} nats")


def holdout_report(holdout: Path, output: Path) -> None:
    """Write to OUTPUT the report in the manifest of HOLDOUT, for a part of it; no file if there is no report."""
    report = read_json(holdout / "manifest.json").get("holdout_report")
    if report:
        write_json(output, report)


if __name__ == "__main__":
    run_commands(__doc__, add_arms, add_branches, link_groups, predict_by_frontier, holdout_report, compare_prediction)
