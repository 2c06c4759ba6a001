"""Prints what a quickstart run has reached, from the JSON that esmscale wrote into its run folder."""

import statistics
from pathlib import Path

from esmtools.commands import run_command
from esmtools.results import Json, read_json, read_metrics


def pattern_row(evaluation: Json, name: str, suffix: str) -> str:
    loss = evaluation["loss" + suffix]
    baseline = evaluation["baseline" + (suffix or "_loss")]
    below, error = evaluation["below_baseline" + suffix], evaluation[f"below_baseline{suffix}_error"]
    return f"  {name:<13}  {loss:.4f}   {baseline:<24.4f}   {below:.4f} ± {error:.4f}"


def quickstart_summary(run: Path) -> None:
    """Print the summary of a RUN of scripts/quickstart.sh."""
    evaluation = read_json(run / "results/eval.json")
    model = read_json(run / "results/count-flops.json")["models"][0]
    metrics = read_metrics(run / "metrics.jsonl")
    last = metrics[-1]
    speed = statistics.median(line["train/tokens_per_second"] for line in metrics if "train/loss" in line)
    print(f"""
Trained {model["name"]}: {model["layers"]} layers of width {model["width"]}, N = \
{model["parameters"]["kaplan_non_embedding"]:,} parameters without the embedding
  {last["step"]:,} steps, {last["tokens"]:,} tokens, {last["flops"]:.3e} FLOPs, {speed:,.0f} tokens/s (median)

Holdout: {evaluation["sequences"]:,} sequences, {evaluation["masked_tokens"]:,} masked positions \
({evaluation["holdout_label"]})
  loss {evaluation["loss"]:.4f} ± {evaluation["standard_error"]:.4f} nats, perplexity {evaluation["perplexity"]:.3f}

  mask pattern   loss     letter frequencies alone   below them, paired (first residue excluded)
{pattern_row(evaluation, "BERT", "")}
{pattern_row(evaluation, "mask only", "_mask_only")}

The run folder is {run}: config, metrics.jsonl, checkpoints, results/.
Next:
  build/release/esmscale eval --checkpoint {run} --per-sequence losses.tsv
  build/release/esmscale export {run} --output esm2_quickstart
  build/release/esmscale count-flops
  build/release/esmscale train --config esm2_8M.json --data DIR --holdout DIR --output runs/esm2_8M --dry-run""")


if __name__ == "__main__":
    run_command(quickstart_summary)
