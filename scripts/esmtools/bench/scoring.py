"""Masked marginals of an assay: esmscale score against a plain loop over Hugging Face's EsmForMaskedLM.

The loop is what a user would write after Meier et al. (2021): a forward pass for each distinct mutated position, with
that position masked, one protein a batch, SDPA, no gradients. Both have the same random weights, threads and variants,
and take turns; loading is not counted. Scores must agree.
"""

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from esmtools.bench.measure import ROOT, footer
from esmtools.processes import json_of
from esmtools.results import fail, markdown_table
from reference import downstream, esm

SHAPES = {"8M": (6, 320, 20), "35M": (12, 480, 20), "150M": (30, 640, 20)}  # layers, width, heads
ASSAY = ROOT / "tests/assays/data/BLAT_ECOLX_Ranganathan2015.csv"
TOLERANCE = 1e-4  # of a score, nats: two log-probabilities of 1e-5 each, with room for the order of sums


def make_folder(name: str, folder: Path) -> None:
    layers, width, heads = SHAPES[name]
    shape = dict(layers=layers, width=width, heads=heads, ffn=4 * width, alphabet=33, token_dropout=True)
    torch.manual_seed(1)
    esm.make_model(shape).save_pretrained(folder)
    esm.write_vocabulary(folder, 33)


def loop(model: Any, protein: str, mutants: list[str]) -> tuple[list[float], float]:
    """Scores, and the seconds that they took."""
    tokens = esm.TOKENS[33]
    begin = time.perf_counter()
    rows = {i: downstream.masked(model, protein, i) for i in sorted({int(m[1:-1]) - 1 for m in mutants})}
    scores = []
    for mutant in mutants:
        row = rows[int(mutant[1:-1]) - 1]
        scores.append(float(row[tokens.index(mutant[-1])] - row[tokens.index(mutant[0])]))
    return scores, time.perf_counter() - begin


def score(esmscale: Path, folder: Path, threads: int) -> tuple[list[float], float]:
    out = folder / "scored.csv"
    document = json_of(
        [
            *(esmscale, "score", "--checkpoint", folder, "--assay", ASSAY, "--output", out, "--force"),
            *("--threads", str(threads), "--device", "cpu", "--bootstrap", "0", "--json", "--log-level", "error"),
        ]
    )
    with out.open() as lines:
        scores = [float(row["esmscale_score"]) for row in csv.DictReader(lines)]
    return scores, float(document["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esmscale", type=Path, required=True)
    parser.add_argument("--command", required=True, help="printed under the table")
    parser.add_argument("--shape", default="8M", choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers.logging.set_verbosity_error()
    protein = "".join(ASSAY.with_suffix(".fasta").read_text().splitlines()[1:])
    with ASSAY.open() as lines:
        mutants = [row["mutant"] for row in csv.DictReader(lines)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_folder(options.shape, folder)
        model, _ = esm.load_model(folder)
        downstream.masked(model, protein, 0)  # first touch of memory
        theirs, ours = [], []
        for _ in range(options.rounds):
            expected, seconds = loop(model, protein, mutants)
            theirs.append(seconds)
            found, seconds = score(options.esmscale, folder, options.threads)
            ours.append(seconds)
    if (worst := max(abs(a - b) for a, b in zip(expected, found, strict=True))) > TOLERANCE:
        fail(f"scores differ by {worst:.1e} nats")
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    passes = len({m[1:-1] for m in mutants})
    rows = [
        [name, f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}"]
        for name, seconds in ((f"transformers {transformers.__version__}, a loop", theirs), ("esmscale score", ours))
    ]
    print(markdown_table([f"{options.shape}, {passes} passes of {len(protein) + 2} rows", "seconds", "range"], rows))
    print(f"\nRatio {ratio:.2f}, the median of {options.rounds} rounds; scores differ by at most {worst:.1e} nats.")
    print(footer(options.command, options.esmscale))


if __name__ == "__main__":
    main()
