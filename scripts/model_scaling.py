#!/usr/bin/env python3
"""Models the time of a step on 1 to 1024 GPUs; the tables and the picture of docs/scaling.md are its output.

Without arguments it prints the tables. SYSTEMS and MODELS hold published figures and the rate that we measured on one
H200; the constants below them have their sources next to them.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from esmtools.plots.figure import content_of
from esmtools.plots.scaling import Curve, draw
from esmtools.results import fail, markdown_table

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = DOCS / "scaling.md", DOCS / "scaling.svg"


class Model(NamedTuple):
    name: str
    system: str
    parameters: float
    rate: float  # tokens/s of one GPU


# NVLink and network: bytes/s of one GPU in one direction; memory: bytes/s. Eight GPUs a node, a network port for each.
SYSTEMS = {
    "A100": {"nvlink": 300e9, "network": 25e9, "memory": 2.0e12},  # NVLink 3, HDR InfiniBand (200 Gb/s)
    "H100": {"nvlink": 450e9, "network": 50e9, "memory": 3.35e12},  # NVLink 4, NDR InfiniBand (400 Gb/s)
    "H200": {"nvlink": 450e9, "network": 50e9, "memory": 4.8e12},
}
# Parameters, tokens/s of one GPU. A100 and H100: NVIDIA BioNeMo 2, ESM-2 in bf16, the H100 figures on 16 GPUs; H200:
# ours, benchmarks/results/2026-11_h200.md.
MODELS = [
    Model("650M", "A100", parameters=651e6, rate=42.9e3),
    Model("650M", "H100", parameters=651e6, rate=95.9e3),
    Model("650M", "H200", parameters=651e6, rate=120.6e3),
    Model("3B", "H100", parameters=2.84e9, rate=26.8e3),
]
GPUS_OF_NODE = 8
LINK_SHARE = 0.8  # of a link's speed that a collective reaches
# Seconds, from NCCL's own model of a collective (its graph/tuning.cc, version 2.28; protocol LL128): its start, a hop
# of a ring over NVLink and over the network, and the same of a tree.
START, RING_HOPS, TREE_HOPS = 14e-6, (1.9e-6, 4.0e-6), (1.25e-6, 8.5e-6)
TREE_SHARE = 0.92  # of a ring's bandwidth
SLOWEST_CARD = 0.03  # how much slower the slowest of several cards is: three H200s differed by 3%
COLLECTIVE_CORES = 0.12  # of the multiprocessors while a collective runs: 16 of 132
UPDATE_OF_BUCKET = 25e-6  # launches of norm and update for each bucket
MICRO_BATCH = 16384  # most tokens of one GPU's micro-batch
BACKWARD_SHARE = 2 / 3  # of the compute: twice the forward pass
BUCKET_OF_RANK, BUCKET_LEAST, BUCKET_MOST = 4 << 20, 25 << 20, 160 << 20  # config/shard_layout.h
ADAM_BYTES = 28  # a parameter: reads gradient, weight, two moments, writes the last three; fp32

WORD, SHORT_WORD = 4, 2  # bytes of a number that travels: fp32; bf16 of parallel.reduce and parallel.master_weights

BATCHES = {"esm2": 2**21, "half": 2**19}  # tokens of a global batch: ESM-2's, and that of our configurations
COUNTS = [2**k for k in range(11)]
SHORT_COUNTS = [8, 16, 32, 64, 128, 256]  # of the tables in bf16


def bandwidth(system: str, gpus: int) -> float:
    """bytes/s of a ring: NVLink within a node; between nodes eight rings, each over a port of its own."""
    links = SYSTEMS[system]
    slowest = links["nvlink"] if gpus <= GPUS_OF_NODE else min(links["nvlink"], GPUS_OF_NODE * links["network"])
    return LINK_SHARE * slowest


def buckets(model: Model, gpus: int) -> int:
    size = 4 * model.parameters
    bucket = min(max(gpus * BUCKET_OF_RANK, BUCKET_LEAST), BUCKET_MOST, size / 16)
    return math.ceil(size / bucket)


def one_way(model: Model, gpus: int, word: int = WORD) -> float:
    """Seconds of one reduce-scatter or all-gather, all buckets of the model."""
    if gpus == 1:
        return 0.0
    between = max(0, math.ceil(gpus / GPUS_OF_NODE) - 1)
    latency = START + RING_HOPS[0] * (gpus - 1 - between) + RING_HOPS[1] * between
    moved = word * model.parameters * (gpus - 1) / gpus
    return moved / bandwidth(model.system, gpus) + latency * buckets(model, gpus)


def both_ways(model: Model, gpus: int, word: int = WORD) -> float:
    """Seconds of an all-reduce, all buckets: by rings, or by trees where that is faster."""
    if gpus == 1:
        return 0.0
    nodes = math.ceil(gpus / GPUS_OF_NODE)
    latency = START + 2 * (TREE_HOPS[0] * (min(gpus, GPUS_OF_NODE) - 1) + TREE_HOPS[1] * math.log2(nodes))
    tree = 2 * word * model.parameters / (TREE_SHARE * bandwidth(model.system, gpus)) + latency * buckets(model, gpus)
    return min(2 * one_way(model, gpus, word), tree)


def step(model: Model, gpus: int, stage: int, batch: int, word: int = WORD) -> tuple[float, float]:
    """Seconds of compute (with the update) and of communication that nothing hides."""
    tokens = batch / gpus
    micro_batches = max(1, math.ceil(tokens / MICRO_BATCH))
    compute = tokens / model.rate * (1 + (SLOWEST_CARD if gpus > 1 else 0))
    updated = model.parameters / (gpus if stage > 0 else 1)
    update = ADAM_BYTES * updated / SYSTEMS[model.system]["memory"]
    if gpus > 1:
        update += UPDATE_OF_BUCKET * buckets(model, gpus)
    window = BACKWARD_SHARE * compute / micro_batches
    once = one_way(model, gpus, word)
    times, gradients = (micro_batches if stage == 2 else 1), (both_ways(model, gpus, word) if stage == 0 else once)
    compute += times * COLLECTIVE_CORES * min(gradients, window)
    exposed = times * max(0.0, gradients - window) + (0 if stage == 0 else once)  # nothing hides the weights' way
    return compute + update, exposed


def efficiency(model: Model, gpus: int, stage: int, batch: int, word: int = WORD) -> float:
    return sum(step(model, 1, stage, batch)) / gpus / sum(step(model, gpus, stage, batch, word))


def hiding_tokens(model: Model, gpus: int, stage: int) -> float:
    """Tokens of one GPU's micro-batch from which its backward pass is as long as the gradients' way."""
    way = both_ways(model, gpus) if stage == 0 else one_way(model, gpus)
    return way * model.rate / BACKWARD_SHARE


def title(model: Model) -> str:
    return f"{model.name} on {model.system}"


def step_table(stage: int, batch: int, counts: Sequence[int] = COUNTS, word: int = WORD) -> str:
    rows = []
    for gpus in counts:
        row = [str(gpus), f"{batch // gpus:,}"]
        for model in MODELS:
            compute, exposed = step(model, gpus, stage, batch, word)
            share = efficiency(model, gpus, stage, batch, word)
            row.append(f"{1e3 * (compute + exposed):,.0f} ({1e3 * exposed:.0f}), {100 * share:.0f}%")
        rows.append(row)
    return markdown_table(["GPUs", "tokens per GPU", *map(title, MODELS)], rows)


def hiding_table() -> str:
    rows = []
    for gpus in (8, 64, 1024):
        for stage in (0, 2):
            tokens = [hiding_tokens(model, gpus, stage) for model in MODELS]
            rows.append([str(gpus), str(stage), *(f"{t:,.0f} ({gpus * t / 1e6:.2f}M)" for t in tokens)])
    return markdown_table(["GPUs", "stage", *map(title, MODELS)], rows)


def curves() -> list[Curve]:
    return [
        Curve(
            f"{title(model)}, {stage}",
            number,
            stage > 0,
            [efficiency(model, gpus, stage, BATCHES["half"]) for gpus in COUNTS],
        )
        for number, model in enumerate(MODELS)
        for stage in (0, 2)
    ]


def account(shown: Sequence[Curve]) -> str:
    """The numbers of the picture, which it keeps: so a check needs no matplotlib, whose versions draw differently."""
    lines = [f"{curve.label}: {' '.join(f'{share:.4f}' for share in curve.efficiencies)}" for curve in shown]
    return "; ".join(lines)


def page(text: str) -> str:
    """The text with each part between <!-- NAME --> and <!-- end --> made new."""
    tables = {f"stage {stage} {name}": step_table(stage, batch) for stage in (0, 2) for name, batch in BATCHES.items()}
    for stage in (0, 2):
        tables[f"stage {stage} half bf16"] = step_table(stage, BATCHES["half"], SHORT_COUNTS, SHORT_WORD)
    for name, content in {**tables, "hiding": hiding_table()}.items():
        begin = text.index(f"<!-- {name} -->") + len(f"<!-- {name} -->")
        text = text[:begin] + "\n" + content + "\n" + text[text.index("<!-- end -->", begin) :]
    return text


def stale_files() -> list[str]:
    stale = []
    if PAGE.read_text() != page(PAGE.read_text()):
        stale.append(PAGE.name)
    if content_of(PICTURE) != account(curves()):
        stale.append(PICTURE.name)
    return stale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--write", action="store_true", help="put the tables into docs/scaling.md, draw docs/scaling.svg"
    )
    action.add_argument("--check", action="store_true", help="exit status 1 if these files are not what --write makes")
    options = parser.parse_args()
    if options.check:
        stale = stale_files()
        if stale:
            fail(f"docs: {', '.join(stale)} not as scripts/model_scaling.py --write makes them")
    elif options.write:
        PAGE.write_text(page(PAGE.read_text()))
        x_label = f"GPUs, at a global batch of {BATCHES['half']:,} tokens"
        draw(PICTURE, COUNTS, curves(), x_label, account(curves()))
    else:
        print(*(step_table(stage, batch) for batch in BATCHES.values() for stage in (0, 2)), hiding_table(), sep="\n\n")


if __name__ == "__main__":
    main()
