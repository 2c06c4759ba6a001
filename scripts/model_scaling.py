#!/usr/bin/env python3
"""Models the time of a step on 1 to 1024 GPUs; the table and the picture of docs/scaling.md are its output.

  scripts/model_scaling.py           prints the tables
  scripts/model_scaling.py --write   puts them into docs/scaling.md, and draws docs/scaling.svg
  scripts/model_scaling.py --check   status 1 when these files are not what it would write

Nothing here was measured by us: SYSTEMS and MODELS hold published figures, the four constants below them assumptions.
"""
import math
import pathlib
import sys

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"

# NVLink and network: bytes/s of one GPU in one direction; memory: bytes/s. Eight GPUs a node, a network port for each.
SYSTEMS = {
    "A100": {"nvlink": 300e9, "network": 25e9, "memory": 2.0e12},   # NVLink 3, HDR InfiniBand (200 Gb/s)
    "H100": {"nvlink": 450e9, "network": 50e9, "memory": 3.35e12},  # NVLink 4, NDR InfiniBand (400 Gb/s)
}
# Parameters, tokens/s of one GPU. NVIDIA BioNeMo 2: ESM-2 in bf16; the H100 figures on 16 GPUs.
MODELS = [
    {"name": "650M", "system": "A100", "parameters": 651e6, "rate": 42.9e3},
    {"name": "650M", "system": "H100", "parameters": 651e6, "rate": 95.9e3},
    {"name": "3B", "system": "H100", "parameters": 2.84e9, "rate": 26.8e3},
]
GPUS_OF_NODE = 8
LINK_SHARE = 0.8          # of a link's speed that a collective reaches
HOP_SECONDS = 5e-6        # latency of a collective: so much times 2 log2(GPUs), for every bucket
MICRO_BATCH = 16384       # most tokens of one GPU's micro-batch
BACKWARD_SHARE = 2 / 3    # of the compute: twice the forward pass
BUCKET_BYTES = 25 << 20   # ShardLayout::kBucketBytes
ADAM_BYTES = 28           # a parameter: reads gradient, weight, two moments, writes the last three; fp32

BATCH = 2 ** 21           # tokens of a global batch: that of ESM-2
COUNTS = [2 ** k for k in range(11)]


def bandwidth(system, gpus):
    """bytes/s of a ring: NVLink within a node; between nodes eight rings, each over a port of its own."""
    links = SYSTEMS[system]
    slowest = links["nvlink"] if gpus <= GPUS_OF_NODE else min(links["nvlink"], GPUS_OF_NODE * links["network"])
    return LINK_SHARE * slowest


def one_way(model, gpus):
    """Seconds of one reduce-scatter or all-gather of fp32 numbers, all buckets of the model."""
    if gpus == 1:
        return 0.0
    size = 4 * model["parameters"]
    latency = HOP_SECONDS * math.log2(gpus) * math.ceil(size / BUCKET_BYTES)
    return size * (gpus - 1) / gpus / bandwidth(model["system"], gpus) + latency


def step(model, gpus, stage, batch=BATCH):
    """Seconds of compute (with Adam) and of communication that nothing hides."""
    tokens = batch / gpus
    micro_batches = max(1, math.ceil(tokens / MICRO_BATCH))
    compute = tokens / model["rate"]
    updated = model["parameters"] / (gpus if stage > 0 else 1)
    adam = ADAM_BYTES * updated / SYSTEMS[model["system"]]["memory"]
    window = BACKWARD_SHARE * compute / micro_batches
    once = one_way(model, gpus)
    if stage == 0:
        exposed = max(0, 2 * once - window)
    else:  # what follows the update is in nobody's shadow
        exposed = (micro_batches if stage == 2 else 1) * max(0, once - window) + once
    return compute + adam, exposed


def efficiency(model, gpus, stage, batch=BATCH):
    return sum(step(model, 1, stage, batch)) / gpus / sum(step(model, gpus, stage, batch))


def hiding_tokens(model, gpus, stage):
    """Tokens of one GPU's micro-batch from which its backward pass is as long as the gradients' way."""
    return (2 if stage == 0 else 1) * one_way(model, gpus) * model["rate"] / BACKWARD_SHARE


def title(model):
    return f"{model['name']} on {model['system']}"


def table(head, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def step_table(stage):
    rows = []
    for gpus in COUNTS:
        row = [str(gpus), f"{BATCH // gpus:,}"]
        for model in MODELS:
            compute, exposed = step(model, gpus, stage)
            row.append(f"{1e3 * (compute + exposed):,.0f} ({1e3 * exposed:.0f}), {100 * efficiency(model, gpus, stage):.0f}%")
        rows.append(row)
    return table(["GPUs", "tokens per GPU", *map(title, MODELS)], rows)


def hiding_table():
    rows = []
    for gpus in (8, 64, 1024):
        for stage in (0, 2):
            tokens = [hiding_tokens(model, gpus, stage) for model in MODELS]
            rows.append([str(gpus), str(stage), *(f"{t:,.0f} ({gpus * t / 1e6:.2f}M)" for t in tokens)])
    return table(["GPUs", "stage", *map(title, MODELS)], rows)


def picture():
    width, height, left, top, right, bottom = 640, 360, 60, 20, 150, 50
    colours = ("#1f77b4", "#d62728", "#2ca02c")

    def x(gpus):
        return left + math.log2(gpus) / 10 * (width - left - right)

    def y(share):
        return top + (1 - share) * (height - top - bottom)

    def words(at_x, at_y, text, anchor="middle"):
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}">{text}</text>'

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for percent in range(0, 101, 20):
        parts.append(f'<path d="M{left} {y(percent / 100):.1f}H{width - right}" stroke="#ddd"/>')
        parts.append(words(left - 8, y(percent / 100) + 4, f"{percent}%", "end"))
    parts += [words(x(gpus), height - bottom + 18, gpus) for gpus in COUNTS]
    parts.append(words((left + width - right) / 2, height - 12, "GPUs, at a global batch of 2,097,152 tokens"))
    for number, model in enumerate(MODELS):
        for stage, dash in ((0, "none"), (2, "5 4")):
            line = " ".join(f"{x(g):.1f},{y(efficiency(model, g, stage)):.1f}" for g in COUNTS)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colours[number]}" stroke-width="2" '
                         f'stroke-dasharray="{dash}"/>')
            at = top + 20 + 20 * (2 * number + (stage > 0))
            parts.append(f'<path d="M{width - right + 10} {at}h24" stroke="{colours[number]}" stroke-width="2" '
                         f'stroke-dasharray="{dash}"/>')
            parts.append(words(width - right + 38, at + 4, f"{title(model)}, {stage}", "start"))
    parts.append(words(width - right + 10, top + 4, "model, ZeRO stage", "start"))
    return "\n".join(parts) + "\n</svg>\n"


def page(text):
    """The text with each part between <!-- NAME --> and <!-- end --> made new."""
    for name, content in (("stage 0", step_table(0)), ("stage 2", step_table(2)), ("hiding", hiding_table())):
        begin = text.index(f"<!-- {name} -->") + len(f"<!-- {name} -->")
        text = text[:begin] + "\n" + content + "\n" + text[text.index("<!-- end -->", begin):]
    return text


def main(action):
    files = {DOCS / "scaling.svg": picture()}
    if action:
        files[DOCS / "scaling.md"] = page((DOCS / "scaling.md").read_text())
    if action == "--check":
        stale = [file.name for file, content in files.items() if not file.is_file() or file.read_text() != content]
        if stale:
            sys.exit(f"error: docs: {', '.join(stale)} not as scripts/model_scaling.py --write makes them")
    elif action == "--write":
        for file, content in files.items():
            file.write_text(content)
    else:
        print(step_table(0), step_table(2), hiding_table(), sep="\n\n")


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--write"], ["--check"]):
        sys.exit(__doc__)
    main(*(sys.argv[1:] or [""]))
