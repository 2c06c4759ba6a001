"""What scripts/study_cpu.sh computes from the files of a study: its arms, branches, prediction, metrics to keep."""

import json
import math
import pathlib
import sys

SEEDS = (1, 2)
ARMS = ("exponential", "constant")
HORIZONS = (("third", 1 / 3), ("whole", 1.0))  # of the tokens of the run that branches are compared with
DECAY = 0.2                                    # wsd's last part, the default of schedule.decay_fraction
MOST_LINES = 60                                # of training losses that are kept of a run, before its end
KEPT = ("step", "tokens", "sequences", "flops", "flops_6nd", "parameters", "train/loss", "train/learning_rate",
        "train/grad_norm", "finished")         # and eval/: the others tell of the machine


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def write(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")


def final_loss(run):
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    if not line.get("finished"):
        sys.exit(f"error: {run}: expected a finished run, found step {line['step']}; run the script again")
    return line["eval/loss"]


def arm_sizes(study):
    """The main runs of seed 1 at the second budget (the first, if it is the only one), at a third and two thirds of its sizes."""
    runs = [run for run in read(study / "study.json")["runs"] if run["stage"] == "isoflop" and run["seed"] == 1]
    budgets = sorted({run["budget"] for run in runs})
    profile = [run for run in runs if run["budget"] == budgets[min(1, len(budgets) - 1)]]
    profile.sort(key=lambda run: run["parameters"])
    return [profile[len(profile) // 3], profile[2 * len(profile) // 3]]


def arm_folder(study, size, schedule, seed):
    # The decaying run of seed 1 is a main run.
    if (schedule, seed) == ("exponential", 1):
        return study / "runs" / size["name"]
    return study / "arms" / f"{schedule}_{size['shape']}_s{seed}"


def print_run(study, size, folder, schedule, seed, *, parent="", tokens=0, settings=()):
    settings = [f"schedule.name={schedule}", f"train.seed={seed}", *settings]
    if tokens:
        settings.append(f"train.max_tokens={tokens}")
    print(study / size["config"], folder, parent or "-", *settings)


def list_arms(study):
    """Lines of: configuration, run folder, the run it branches from or -, settings."""
    for size in arm_sizes(study):
        for schedule in ARMS:
            for seed in SEEDS:
                folder = arm_folder(study, size, schedule, seed)
                if folder.parent.name == "arms":
                    print_run(study, size, folder, schedule, seed)


def branch_folder(study, kind, horizon, seed):
    return study / "branches" / f"{kind}_{horizon}_s{seed}"


def list_branches(study):
    """At one size and two horizons: a trunk in two pieces, a branch at the end of each, and a run of its own."""
    size = arm_sizes(study)[0]
    tokens = size["tokens"]
    warmup = f"schedule.warmup_tokens={int(tokens * HORIZONS[0][1] * (1 - DECAY) / 10)}"
    for seed in SEEDS:
        trunk = ""
        for name, share in HORIZONS:
            end, before = round(share * tokens), trunk
            trunk = branch_folder(study, "trunk", name, seed)
            print_run(study, size, trunk, "constant", seed, parent=before, tokens=round((1 - DECAY) * end), settings=[warmup])
            print_run(study, size, branch_folder(study, "branch", name, seed), "wsd", seed, parent=trunk, tokens=end,
                      settings=[warmup, f"schedule.decay_fraction={DECAY}"])
            if share < 1:
                print_run(study, size, branch_folder(study, "own", name, seed), "exponential", seed, tokens=end)


def paired(of, losses, first, second):
    """first − second by seed; the error is that of the mean over seeds."""
    differences = [a - b for a, b in zip(losses[first], losses[second])]
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    error = math.sqrt(variance / len(differences))
    print(f"{of}: {first} − {second} = {mean:+.4f} ± {error:.4f} nats (seeds {SEEDS})")
    return {**losses, "difference": mean, "error": error}


def overall(rows):
    return {"difference": sum(row["difference"] for row in rows) / len(rows),
            "error": math.sqrt(sum(row["error"] ** 2 for row in rows)) / len(rows)}


def compare_arms(study, output):
    rows = []
    for size in arm_sizes(study):
        losses = {arm: [final_loss(arm_folder(study, size, arm, seed)) for seed in SEEDS] for arm in ARMS}
        rows.append({"shape": size["shape"], "parameters": size["parameters"], "tokens": size["tokens"],
                     **paired(size["shape"], losses, *ARMS)})
    write(output, {"difference is": "exponential − constant, nats of holdout loss", "seeds": SEEDS, "sizes": rows, **overall(rows)})


def compare_branches(study, output):
    size = arm_sizes(study)[0]
    rows = []
    for name, share in HORIZONS:
        own = [final_loss(arm_folder(study, size, "exponential", seed) if share == 1 else branch_folder(study, "own", name, seed))
               for seed in SEEDS]
        losses = {"branch": [final_loss(branch_folder(study, "branch", name, seed)) for seed in SEEDS], "own": own}
        rows.append({"tokens": round(share * size["tokens"]), **paired(f"{size['shape']}, {name}", losses, "branch", "own")})
    write(output, {"difference is": "branch of a trunk − run of its own with the study's schedule, nats of holdout loss",
                   "shape": size["shape"], "parameters": size["parameters"], "seeds": SEEDS, "horizons": rows, **overall(rows)})


def chosen_rate(study, config):
    """The rate of the plan's rule times the factor that the sweep chose."""
    choice = read(study / "state.json")["learning_rate"]
    print(read(config)["optimizer"]["lr"] * (choice["factor"] if choice else 1))


def power_law(flops, log_cc, alpha, floor=0.0):
    return floor + math.exp(alpha * (log_cc - math.log(flops)))


def central(drawn, level):
    """The central share `level` of sorted values, linear between them; None where there are too few."""
    if len(drawn) < 20:
        return None

    def at(quantile):
        place = quantile * (len(drawn) - 1)
        below = min(int(place), len(drawn) - 2)
        return drawn[below] + (place - below) * (drawn[below + 1] - drawn[below])

    return [at((1 - level) / 2), at((1 + level) / 2)]


def predict_by_frontier(study, laws, flops, config_file):
    """Where no approach has an optimum: L(C) gives the loss, and the best size of the largest budget is trained further."""
    flops, law = float(str(flops)), read(laws)["kaplan"]["L_C"]
    if law is None:
        sys.exit(f"error: {laws}: expected Kaplan's L(C), found null")
    form = "pure" if law["better"] == "pure" or law["irreducible"] is None else "irreducible"
    fit = law[form]
    loss = power_law(flops, math.log(fit["Cc"]), fit["alpha_C"], fit.get("L_inf", 0))
    drawn = sorted(power_law(flops, *row) for row in fit["draws"])
    runs = [run for run in read(study / "study.json")["runs"] if run["stage"] == "isoflop"]
    largest = max(run["budget"] for run in runs)
    best = min((run for run in runs if run["budget"] == largest), key=lambda run: final_loss(study / "runs" / run["name"]))
    longer = flops / largest
    config = read(study / best["config"])
    tokens = round(best["tokens"] * longer)
    # max_tokens ends the run: so many epochs are enough.
    config["train"].update(max_tokens=tokens, epochs=config["train"]["epochs"] * math.ceil(longer))
    config["schedule"]["warmup_tokens"] = round(config["schedule"]["warmup_tokens"] * longer)
    config["optimizer"]["lr"] = best["lr"]
    config["study"].update(budget=flops, name="next")
    config_file.parent.mkdir(parents=True, exist_ok=True)
    write(config_file, config)
    print(json.dumps({"flops": flops, "law": {"name": "Kaplan L(C)", "form": form, "points": law["points"]},
                      "optimum": {"loss": {"value": loss, "interval": central(drawn, 0.95), "interval_80": central(drawn, 0.8)}},
                      "shape": {"name": best["shape"], "parameters": best["parameters"], "tokens": tokens, "nats_lost": None}},
                     indent=2))


def compare_prediction(run, prediction, output):
    plan, measured = read(prediction), final_loss(run)
    optimum = plan["optimum"]["loss"]
    if optimum["value"] is None:
        sys.exit(f"error: {prediction}: expected a predicted loss, found none: only approach 3 predicts one")
    predicted = optimum["value"] + (plan["shape"]["nats_lost"] or 0)
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    write(output, {"flops": plan["flops"], "shape": plan["shape"]["name"], "predicted": predicted,
                   "interval_of_the_optimum": optimum["interval"], "measured": measured,
                   "standard_error": last["eval/standard_error"], "difference": measured - predicted})
    print(f"predicted {predicted:.4f}, measured {measured:.4f} ± {last['eval/standard_error']:.4f} nats")


def thinned(lines):
    """All evaluations, the training losses of the last twentieth (which a fit averages), and some of those before."""
    records = [json.loads(line) for line in lines]
    end = 0.95 * records[-1]["tokens"]
    stride = max(1, len(records) // MOST_LINES)
    for i, record in enumerate(records):
        if i % stride and record["tokens"] < end and "eval/loss" not in record:
            continue
        kept = {key: value for key, value in record.items() if key in KEPT or key.startswith("eval/")}
        if "eval/checkpoint" in kept:
            kept["eval/checkpoint"] = pathlib.PurePath(kept["eval/checkpoint"]).name
        yield json.dumps(kept, separators=(",", ":"))


def keep_metrics(study, folder):
    """Of every run what a fit reads: configuration, data, metrics. What tells of this machine is left out."""
    for metrics in sorted(study.glob("*/*/metrics.jsonl")):
        run = metrics.parent
        kept = folder / run.relative_to(study)
        kept.mkdir(parents=True, exist_ok=True)
        config, starts = read(run / "config.json"), read(run / "environment.json")
        config["data"].update(train="train", holdout="holdout")
        write(kept / "config.json", config)
        write(kept / "environment.json",
              [{key: start[key] for key in ("started", "version", "revision", "data") if key in start} for start in starts])
        (kept / "metrics.jsonl").write_text("\n".join(thinned(metrics.read_text().splitlines())) + "\n")


def holdout_report(holdout, output):
    """How far the holdout was checked, for a part of it; no file when it never was."""
    report = read(holdout / "manifest.json").get("holdout_report")
    if report:
        write(output, report)


def main():
    commands = {"list-arms": list_arms, "compare-arms": compare_arms, "list-branches": list_branches,
                "compare-branches": compare_branches, "chosen-rate": chosen_rate, "predict-by-frontier": predict_by_frontier, "holdout-report": holdout_report,
                "compare-prediction": compare_prediction, "keep-metrics": keep_metrics}
    commands[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))


main()
