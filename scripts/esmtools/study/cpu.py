"""What scripts/study_cpu.sh computes from the files of a study: its arms, branches, prediction, metrics to keep."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from esmtools.commands import run_commands
from esmtools.results import Json, fail, read_json, read_metrics, write_json

SEEDS = (1, 2)
ARMS = ("exponential", "constant")
HORIZONS = (("third", 1 / 3), ("whole", 1.0))  # of the tokens of the run that branches are compared with
MAIN_STAGES = ("main", "isoflop")  # the second in studies of the first format
DECAY = 0.2  # last part of the schedule wsd; the default of schedule.decay_fraction
MAX_LINES = 60  # training losses that are kept of a run, before its end
KEPT = (  # and eval/: the others describe the machine
    "step",
    "tokens",
    "sequences",
    "flops",
    "flops_6nd",
    "parameters",
    "train/loss",
    "train/learning_rate",
    "train/grad_norm",
    "finished",
)


def final_record(run: Path) -> Json:
    record = (read_metrics(run / "metrics.jsonl") or [{}])[-1]
    if not record.get("finished"):
        fail(f"{run}: expected a finished run, found step {record.get('step', 0)}; run the script again")
    return record


def final_loss(run: Path) -> float:
    loss: float = final_record(run)["eval/loss"]
    return loss


def main_runs(study: Path) -> list[Json]:
    return [run for run in read_json(study / "study.json")["runs"] if run["stage"] in MAIN_STAGES]


def arm_sizes(study: Path) -> list[Json]:
    """The main runs of seed 1 at the second budget (or the only one), at a third and two thirds of its sizes."""
    runs = [run for run in main_runs(study) if run["seed"] == 1]
    budgets = sorted({run["budget"] for run in runs})
    profile = [run for run in runs if run["budget"] == budgets[min(1, len(budgets) - 1)]]
    profile.sort(key=lambda run: int(run["parameters"]))
    return [profile[len(profile) // 3], profile[2 * len(profile) // 3]]


def arm_folder(study: Path, size: Json, schedule: str, seed: int) -> Path:
    # The decaying run of seed 1 is a main run.
    if (schedule, seed) == ("exponential", 1):
        return study / "runs" / str(size["name"])
    return study / "arms" / f"{schedule}_{size['shape']}_s{seed}"


def print_run(
    study: Path,
    size: Json,
    folder: Path,
    schedule: str,
    seed: int,
    *,
    parent: Path | None = None,
    tokens: int = 0,
    settings: Sequence[str] = (),
) -> None:
    settings = [f"schedule.name={schedule}", f"train.seed={seed}", *settings]
    if tokens:
        settings.append(f"train.max_tokens={tokens}")
    print(study / size["config"], folder, parent or "-", *settings)


def list_arms(study: Path) -> None:
    """Print lines of: configuration, run folder, the run that it branches from or -, settings."""
    for size in arm_sizes(study):
        for schedule in ARMS:
            for seed in SEEDS:
                folder = arm_folder(study, size, schedule, seed)
                if folder.parent.name == "arms":
                    print_run(study, size, folder, schedule, seed)


def branch_folder(study: Path, kind: str, horizon: str, seed: int) -> Path:
    return study / "branches" / f"{kind}_{horizon}_s{seed}"


def list_branches(study: Path) -> None:
    """Print, at one size and two horizons: a trunk in two pieces, a branch at the end of each, a run of its own."""
    size = arm_sizes(study)[0]
    tokens = size["tokens"]
    warmup = f"schedule.warmup_tokens={int(tokens * HORIZONS[0][1] * (1 - DECAY) / 10)}"
    decay = f"schedule.decay_fraction={DECAY}"
    for seed in SEEDS:
        trunk: Path | None = None
        for name, share in HORIZONS:
            end, before = round(share * tokens), trunk
            trunk = branch_folder(study, "trunk", name, seed)
            trunk_tokens = round((1 - DECAY) * end)
            print_run(study, size, trunk, "constant", seed, parent=before, tokens=trunk_tokens, settings=[warmup])
            branch = branch_folder(study, "branch", name, seed)
            print_run(study, size, branch, "wsd", seed, parent=trunk, tokens=end, settings=[warmup, decay])
            if share < 1:
                print_run(study, size, branch_folder(study, "own", name, seed), "exponential", seed, tokens=end)


def paired(title: str, losses: dict[str, list[float]], first: str, second: str) -> Json:
    """first − second by seed; the error is that of the mean over seeds."""
    differences = [a - b for a, b in zip(losses[first], losses[second], strict=True)]
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    error = math.sqrt(variance / len(differences))
    print(f"{title}: {first} − {second} = {mean:+.4f} ± {error:.4f} nats (seeds {SEEDS})")
    return {**losses, "difference": mean, "error": error}


def overall(rows: Sequence[Json]) -> Json:
    return {
        "difference": sum(row["difference"] for row in rows) / len(rows),
        "error": math.sqrt(sum(row["error"] ** 2 for row in rows)) / len(rows),
    }


def compare_arms(study: Path, output: Path) -> None:
    """Write to OUTPUT what a decaying learning rate gains over a constant one."""
    rows = []
    for size in arm_sizes(study):
        losses = {arm: [final_loss(arm_folder(study, size, arm, seed)) for seed in SEEDS] for arm in ARMS}
        described = {key: size[key] for key in ("shape", "parameters", "tokens")}
        rows.append({**described, **paired(size["shape"], losses, *ARMS)})
    unit = "exponential − constant, nats of holdout loss"
    write_json(output, {"difference is": unit, "seeds": SEEDS, "sizes": rows, **overall(rows)})


def compare_branches(study: Path, output: Path) -> None:
    """Write to OUTPUT what a branch of a trunk loses against a run of its own."""
    size = arm_sizes(study)[0]
    rows = []
    for name, share in HORIZONS:
        if share == 1:
            own = [arm_folder(study, size, "exponential", seed) for seed in SEEDS]
        else:
            own = [branch_folder(study, "own", name, seed) for seed in SEEDS]
        branches = [branch_folder(study, "branch", name, seed) for seed in SEEDS]
        losses = {"branch": [final_loss(run) for run in branches], "own": [final_loss(run) for run in own]}
        tokens = round(share * size["tokens"])
        rows.append({"tokens": tokens, **paired(f"{size['shape']}, {name}", losses, "branch", "own")})
    content = {
        "difference is": "branch of a trunk − run of its own with the study's schedule, nats of holdout loss",
        "shape": size["shape"],
        "parameters": size["parameters"],
        "seeds": SEEDS,
        "horizons": rows,
        **overall(rows),
    }
    write_json(output, content)


def chosen_rate(study: Path, config: Path) -> None:
    """Print the learning rate of CONFIG times the factor that the sweep of STUDY chose."""
    choice = read_json(study / "state.json")["learning_rate"]
    print(read_json(config)["optimizer"]["lr"] * (choice["factor"] if choice else 1))


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


def longer_config(config: Json, flops: float, longer: float, tokens: int, rate: float) -> Json:
    # max_tokens ends the run, so the number of epochs only has to be large enough.
    config["train"].update(max_tokens=tokens, epochs=config["train"]["epochs"] * math.ceil(longer))
    config["schedule"]["warmup_tokens"] = round(config["schedule"]["warmup_tokens"] * longer)
    config["optimizer"]["lr"] = rate
    config["study"].update(budget=flops, name="next")
    return config


def predict_by_frontier(study: Path, laws: Path, flops: float, config_file: Path) -> None:
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
    config_file.parent.mkdir(parents=True, exist_ok=True)
    write_json(config_file, longer_config(read_json(study / best["config"]), flops, longer, tokens, best["lr"]))
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


def thinned(records: Sequence[Json]) -> Iterator[str]:
    """All evaluations, the training losses of the last twentieth (which a fit averages), and some of those before."""
    end = 0.95 * records[-1]["tokens"]
    stride = max(1, len(records) // MAX_LINES)
    for i, record in enumerate(records):
        if i % stride and record["tokens"] < end and "eval/loss" not in record:
            continue
        kept = {key: value for key, value in record.items() if key in KEPT or key.startswith("eval/")}
        if "eval/checkpoint" in kept:
            kept["eval/checkpoint"] = PurePath(kept["eval/checkpoint"]).name
        yield json.dumps(kept, separators=(",", ":"))


def keep_metrics(study: Path, folder: Path) -> None:
    """Copy to FOLDER what a fit reads of every run: configuration, data, metrics; nothing that describes a machine."""
    for metrics in sorted(study.glob("*/*/metrics.jsonl")):
        run = metrics.parent
        kept = folder / run.relative_to(study)
        kept.mkdir(parents=True, exist_ok=True)
        config, starts = read_json(run / "config.json"), read_json(run / "environment.json")
        config["data"].update(train="train", holdout="holdout")
        write_json(kept / "config.json", config)
        keys = ("started", "version", "revision", "data")
        write_json(kept / "environment.json", [{key: start[key] for key in keys if key in start} for start in starts])
        (kept / "metrics.jsonl").write_text("\n".join(thinned(read_metrics(metrics))) + "\n")


def holdout_report(holdout: Path, output: Path) -> None:
    """Write to OUTPUT the report in the manifest of HOLDOUT, for a part of it; no file if there is no report."""
    report = read_json(holdout / "manifest.json").get("holdout_report")
    if report:
        write_json(output, report)


if __name__ == "__main__":
    run_commands(
        __doc__,
        list_arms,
        compare_arms,
        list_branches,
        compare_branches,
        chosen_rate,
        predict_by_frontier,
        holdout_report,
        compare_prediction,
        keep_metrics,
    )
