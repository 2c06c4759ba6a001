"""Where the time of a step goes, from a trace that `esmscale train --profile STEPS` wrote.

On a GPU: its kernels by class, and how many are launched. On a CPU: the program's own spans and LibTorch's operations,
each without what runs inside it.
"""

import argparse
import collections
from collections.abc import Collection
from pathlib import Path

from esmtools.results import Json, fail, markdown_table, read_json

STEP = "optimizer"  # a span that every step has once

# A kernel's class is the first whose word its name contains.
KERNEL_CLASSES = [
    ("our kernels", ["esmscale"]),
    ("attention", ["flash", "fmha", "attention"]),
    ("matrix products", ["gemm", "cutlass", "nvjet", "xmma", "cublas", "splitk"]),
    ("optimizer", ["adam", "multi_tensor"]),
    ("communication", ["nccl"]),
    ("reductions", ["reduce", "norm", "softmax", "nll"]),
    ("copies and fills", ["memcpy", "memset", "copy", "fill", "cat"]),
    ("element-wise", ["elementwise", "index", "gather", "scatter", "embedding", "gelu", "kernel"]),
]


def class_of(kernel: str) -> str:
    name = kernel.lower()
    return next((label for label, words in KERNEL_CLASSES if any(word in name for word in words)), "other")


def complete_events(trace: Json, categories: Collection[str]) -> list[Json]:
    return [event for event in trace["traceEvents"] if event.get("ph") == "X" and event.get("cat") in categories]


def steps_of(trace: Json) -> int:
    steps = sum(bool(event["name"] == STEP) for event in complete_events(trace, ["user_annotation"]))
    if steps == 0:
        fail(f"no span named '{STEP}' in the trace: was it written by esmscale train --profile?")
    return steps


def kernel_time(trace: Json) -> tuple[dict[str, float], float]:
    """({class: microseconds a step}, kernels a step) of a GPU; ({}, 0) of a CPU."""
    steps = steps_of(trace)
    time: dict[str, float] = collections.defaultdict(float)
    kernels = complete_events(trace, ["kernel", "gpu_memcpy", "gpu_memset"])
    for kernel in kernels:
        time[class_of(kernel["name"])] += kernel["dur"] / steps
    return dict(time), sum(kernel["cat"] == "kernel" for kernel in kernels) / steps


def own_time(trace: Json) -> dict[str, float]:
    """{name: microseconds a step} of spans and operations on the host, without what runs inside them."""
    steps = steps_of(trace)
    time: dict[str, float] = collections.defaultdict(float)
    by_thread: dict[int, list[Json]] = collections.defaultdict(list)
    for event in complete_events(trace, ["user_annotation", "cpu_op"]):
        by_thread[event["tid"]].append(event)
    for events in by_thread.values():
        open_events: list[Json] = []  # those that contain the present one, the innermost last
        for event in sorted(events, key=lambda event: (float(event["ts"]), -float(event["dur"]))):
            while open_events and event["ts"] >= open_events[-1]["ts"] + open_events[-1]["dur"]:
                open_events.pop()
            time[event["name"]] += event["dur"] / steps
            if open_events:
                time[open_events[-1]["name"]] -= event["dur"] / steps
            open_events.append(event)
    return dict(time)


def rows(time: dict[str, float], top: int) -> list[tuple[str, float, float]]:
    """(name, milliseconds a step, share) with the largest first; what is left out is one row."""
    total = sum(time.values())
    order = sorted(time.items(), key=lambda item: -item[1])
    shown = order[:top] + ([("the rest", sum(value for _, value in order[top:]))] if len(order) > top else [])
    return [(name, value / 1000, value / total) for name, value in shown]


def table(time: dict[str, float], top: int) -> str:
    shown = [[name, f"{milliseconds:.3f}", f"{share:.1%}"] for name, milliseconds, share in rows(time, top)]
    return markdown_table(["what", "ms per step", "share"], shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--top", type=int, default=12, help="rows")
    options = parser.parse_args()
    trace = read_json(options.trace)
    time, launches = kernel_time(trace)
    if time:
        print(f"{launches:.0f} kernels a step\n")
    print(table(time or own_time(trace), options.top))


if __name__ == "__main__":
    main()
