#!/usr/bin/env python3
"""Models the time of a step on 1 to 1024 GPUs; the tables and the picture of docs/scaling.md are its output.

Without arguments it prints the tables. Nothing here was measured by us: SYSTEMS and MODELS hold published figures, the
constants below them assumptions.
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
}
# Parameters, tokens/s of one GPU. NVIDIA BioNeMo 2: ESM-2 in bf16; the H100 figures on 16 GPUs.
MODELS = [
    Model("650M", "A100", parameters=651e6, rate=42.9e3),
    Model("650M", "H100", parameters=651e6, rate=95.9e3),
    Model("3B", "H100", parameters=2.84e9, rate=26.8e3),
]
GPUS_OF_NODE = 8
LINK_SHARE = 0.8  # of a link's speed that a collective reaches
HOP_SECONDS = 5e-6  # latency of a collective: this times 2 log2(GPUs), for every bucket
MICRO_BATCH = 16384  # most tokens of one GPU's micro-batch
BACKWARD_SHARE = 2 / 3  # of the compute: twice the forward pass
BUCKET_BYTES = 25 << 20  # ShardLayout::kBucketBytes
ADAM_BYTES = 28  # a parameter: reads gradient, weight, two moments, writes the last three; fp32

BATCH = 2**21  # tokens of a global batch: that of ESM-2
COUNTS = [2**k for k in range(11)]


def bandwidth(system: str, gpus: int) -> float:
    """bytes/s of a ring: NVLink within a node; between nodes eight rings, each over a port of its own."""
    links = SYSTEMS[system]
    slowest = links["nvlink"] if gpus <= GPUS_OF_NODE else min(links["nvlink"], GPUS_OF_NODE * links["network"])
    return LINK_SHARE * slowest


def one_way(model: Model, gpus: int) -> float:
    """Seconds of one reduce-scatter or all-gather of fp32 numbers, all buckets of the model."""
    if gpus == 1:
        return 0.0
    size = 4 * model.parameters
    latency = HOP_SECONDS * math.log2(gpus) * math.ceil(size / BUCKET_BYTES)
    return size * (gpus - 1) / gpus / bandwidth(model.system, gpus) + latency


def step(model: Model, gpus: int, stage: int) -> tuple[float, float]:
    """Seconds of compute (with Adam) and of communication that nothing hides."""
    tokens = BATCH / gpus
    micro_batches = max(1, math.ceil(tokens / MICRO_BATCH))
    compute = tokens / model.rate
    updated = model.parameters / (gpus if stage > 0 else 1)
    adam = ADAM_BYTES * updated / SYSTEMS[model.system]["memory"]
    window = BACKWARD_SHARE * compute / micro_batches
    once = one_way(model, gpus)
    if stage == 0:
        exposed = max(0.0, 2 * once - window)
    else:  # what follows the update is in nobody's shadow
        exposed = (micro_batches if stage == 2 else 1) * max(0.0, once - window) + once
    return compute + adam, exposed


def efficiency(model: Model, gpus: int, stage: int) -> float:
    return sum(step(model, 1, stage)) / gpus / sum(step(model, gpus, stage))


def hiding_tokens(model: Model, gpus: int, stage: int) -> float:
    """Tokens of one GPU's micro-batch from which its backward pass is as long as the gradients' way."""
    return (2 if stage == 0 else 1) * one_way(model, gpus) * model.rate / BACKWARD_SHARE


def title(model: Model) -> str:
    return f"{model.name} on {model.system}"


def step_table(stage: int) -> str:
    rows = []
    for gpus in COUNTS:
        row = [str(gpus), f"{BATCH // gpus:,}"]
        for model in MODELS:
            compute, exposed = step(model, gpus, stage)
            share = efficiency(model, gpus, stage)
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
        Curve(f"{title(model)}, {stage}", number, stage > 0, [efficiency(model, gpus, stage) for gpus in COUNTS])
        for number, model in enumerate(MODELS)
        for stage in (0, 2)
    ]


def account(shown: Sequence[Curve]) -> str:
    """The numbers of the picture, which it keeps: so a check needs no matplotlib, whose versions draw differently."""
    lines = [f"{curve.label}: {' '.join(f'{share:.4f}' for share in curve.efficiencies)}" for curve in shown]
    return "; ".join(lines)


def page(text: str) -> str:
    """The text with each part between <!-- NAME --> and <!-- end --> made new."""
    for name, content in (("stage 0", step_table(0)), ("stage 2", step_table(2)), ("hiding", hiding_table())):
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
        x_label = f"GPUs, at a global batch of {BATCH:,} tokens"
        draw(PICTURE, COUNTS, curves(), x_label, account(curves()))
    else:
        print(step_table(0), step_table(2), hiding_table(), sep="\n\n")


if __name__ == "__main__":
    main()
