"""Where the time of a step goes, from a trace that `esmscale train --profile STEPS` wrote.

  python3 benchmarks/trace_summary.py RUN/trace.json [--top 12]

On a GPU: its kernels by class, and how many are launched. On a CPU: the program's own spans and LibTorch's operations,
each without what runs inside it.
"""

import argparse
import collections
import json
import pathlib

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


def class_of(kernel):
    name = kernel.lower()
    return next((label for label, words in KERNEL_CLASSES if any(word in name for word in words)), "other")


def complete_events(trace, categories):
    return [event for event in trace["traceEvents"] if event.get("ph") == "X" and event.get("cat") in categories]


def steps_of(trace):
    steps = sum(event["name"] == STEP for event in complete_events(trace, ["user_annotation"]))
    if steps == 0:
        raise SystemExit(f"error: no span named '{STEP}' in the trace: was it written by esmscale train --profile?")
    return steps


def kernel_time(trace):
    """({class: microseconds a step}, kernels a step) of a GPU; ({}, 0) of a CPU."""
    steps, time = steps_of(trace), collections.Counter()
    kernels = complete_events(trace, ["kernel", "gpu_memcpy", "gpu_memset"])
    for kernel in kernels:
        time[class_of(kernel["name"])] += kernel["dur"] / steps
    return dict(time), sum(kernel["cat"] == "kernel" for kernel in kernels) / steps


def own_time(trace):
    """{name: microseconds a step} of spans and operations on the host, without what runs inside them."""
    steps, time = steps_of(trace), collections.Counter()
    by_thread = collections.defaultdict(list)
    for event in complete_events(trace, ["user_annotation", "cpu_op"]):
        by_thread[event["tid"]].append(event)
    for events in by_thread.values():
        open_events = []  # those that contain the present one, the innermost last
        for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
            while open_events and event["ts"] >= open_events[-1]["ts"] + open_events[-1]["dur"]:
                open_events.pop()
            time[event["name"]] += event["dur"] / steps
            if open_events:
                time[open_events[-1]["name"]] -= event["dur"] / steps
            open_events.append(event)
    return dict(time)


def rows(time, top):
    """(name, milliseconds a step, share) with the largest first; what is left out is one row."""
    total = sum(time.values())
    order = sorted(time.items(), key=lambda item: -item[1])
    shown = order[:top] + ([("the rest", sum(value for _, value in order[top:]))] if len(order) > top else [])
    return [(name, value / 1000, value / total) for name, value in shown]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=pathlib.Path)
    parser.add_argument("--top", type=int, default=12, help="rows")
    options = parser.parse_args()
    trace = json.loads(options.trace.read_text())
    time, launches = kernel_time(trace)
    if time:
        print(f"{launches:.0f} kernels a step\n")
    print("| what | ms a step | share |\n| --- | --- | --- |")
    for name, milliseconds, share in rows(time or own_time(trace), options.top):
        print(f"| {name} | {milliseconds:.2f} | {share:.1%} |")


if __name__ == "__main__":
    main()
