"""Prints what a quickstart run has come to, from the JSON that esmscale wrote into its run folder."""

import json
import pathlib
import statistics
import sys


def read_metrics(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return lines[-1], statistics.median(line["train/tokens_per_second"] for line in lines if "train/loss" in line)


def main():
    run = pathlib.Path(sys.argv[1])
    evaluation = json.loads((run / "results/eval.json").read_text())
    model = json.loads((run / "results/count-flops.json").read_text())["models"][0]
    last, speed = read_metrics(run / "metrics.jsonl")

    print(f"""
Trained {model["name"]}: {model["layers"]} layers of width {model["width"]}, N = \
{model["parameters"]["kaplan_non_embedding"]:,} parameters without the embedding
  {last["step"]:,} steps, {last["tokens"]:,} tokens, {last["flops"]:.3e} FLOPs, {speed:,.0f} tokens/s (median)

Held out: {evaluation["sequences"]:,} sequences, {evaluation["masked_tokens"]:,} masked positions ({evaluation["holdout_label"]})
  loss {evaluation["loss"]:.4f} ± {evaluation["standard_error"]:.4f} nats, perplexity {evaluation["perplexity"]:.3f}

  mask pattern   loss     letter frequencies alone   below them, paired (first residue excluded)""")
    for name, suffix in (("BERT", ""), ("mask only", "_mask_only")):
        loss = evaluation["loss" + suffix]
        baseline = evaluation["baseline" + (suffix or "_loss")]
        below, error = evaluation["below_baseline" + suffix], evaluation[f"below_baseline{suffix}_error"]
        print(f"  {name:<13}  {loss:.4f}   {baseline:<24.4f}   {below:.4f} ± {error:.4f}")
    print(f"""
The run folder is {run}: config, metrics.jsonl, checkpoints, results/.
Next:
  build/release/esmscale eval --checkpoint {run} --per-sequence losses.tsv
  build/release/esmscale export {run} --output esm2_quickstart
  build/release/esmscale count-flops
  build/release/esmscale train --config esm2_8M.json --data DIR --holdout DIR --output runs/esm2_8M --dry-run""")


if __name__ == "__main__":
    main()
