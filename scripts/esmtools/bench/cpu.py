"""Ours against Hugging Face's EsmForMaskedLM on the CPU, in turn, in one run; cpu_training.sh sets it up.

Both train the same shapes in fp32 on the same proteins in the same order, with the same tokens an update. Each
measurement is a fresh process; its start and first update are off the clock. Tokens are real: residues, START and END.
"""

import argparse
import collections
import json
import os
import pathlib
import sys
import tempfile
import time

from measure import place_and_time
from training_runs import (PEER, PEER_SEQUENCES, median, run_json, sequences_in, shape_of, tokens_per_second, train_for,
                           write_sequences)

TARGETS = {"8M": 2.0, "35M": 1.5}  # times the peer at its best batch; 3 of models below 2M parameters
TARGET_SHARE = 0.6                 # of the machine's matrix products, for the FLOPs executed
Speed = collections.namedtuple("Speed", "tokens_per_second peak_bytes bytes_before_model gflops", defaults=[None, None])


def config_of(model):
    """8M is short for the shipped esm2_8M; other names are taken as they are."""
    return f"esm2_{model}" if model[:-1].isdigit() else model


def dry_run(options, model):
    """The model as `esmscale train` sees it, whatever --set says."""
    command = [options.esmscale, "train", "--config", config_of(model), "--data", options.data, "--dry-run", "--json"]
    return run_json([*command, *settings(options)])


def parameters_of(options, model):
    return dry_run(options, model)["plan"]["parameters"]["trainable"]


def settings(options):
    own = [f"train.batch_tokens={options.step_tokens}", f"train.micro_batch_tokens={options.step_tokens}",
           "log.every_steps=1", "checkpoint.every_minutes=0", "data.holdout="]
    return [word for setting in [*own, *options.set] for word in ("--set", setting)]


def measure_ours(options, model, folder):
    command = [options.esmscale, "train", "--config", config_of(model), "--data", options.data, "--device", "cpu",
               "--threads", str(options.threads), *settings(options)]
    lines, _ = train_for(command, folder / "run", options.seconds)
    return Speed(tokens_per_second(lines), lines[-1]["memory_bytes"],
                 gflops=median([line["train/gflops_per_second"] for line in lines]))


def measure_peer(options, config, batch, sequences):
    result = run_json([sys.executable, "-W", "ignore", str(PEER), "--shape", json.dumps(shape_of(config)),
                       "--sequences", str(sequences), "--batch", str(batch), "--step-tokens", str(options.step_tokens),
                       "--seconds", str(options.seconds), "--threads", str(options.threads)])
    options.peer_versions = result.pop("versions")
    return Speed(**result)


def measure(options, model):
    """{name: [Speed of each round]}; names are "ours" and batch sizes."""
    config = dry_run(options, model)["config"]
    speeds = collections.defaultdict(list)
    for number in range(options.rounds):
        for name in ["ours", *options.batches]:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                sequences = folder / "sequences.txt"
                if name == "ours":
                    speed = measure_ours(options, model, folder)
                else:
                    write_sequences(options, options.peer_sequences, sequences)
                    speed = measure_peer(options, config, name, sequences)
            speeds[name].append(speed)
            print(f"    {model}, round {number + 1}, {name}: {speed.tokens_per_second:.0f} tokens/s", file=sys.stderr)
    return speeds


def middle(speeds, field="tokens_per_second"):
    return median([getattr(speed, field) for speed in speeds])


def product_gflops(threads):
    """LibTorch's sgemm on this machine: the median of nine products."""
    import torch
    torch.set_num_threads(threads)
    a, b, seconds = torch.randn(4096, 1024), torch.randn(1024, 1024), []
    for _ in range(10):
        begin = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - begin)
    return 2e-9 * a.shape[0] * a.shape[1] * b.shape[1] / median(seconds[1:])


def print_rows(model, speeds):
    ours = middle(speeds["ours"])
    for name, measured in speeds.items():
        rates = [speed.tokens_per_second for speed in measured]
        program = "esmscale" if name == "ours" else f"Hugging Face, batch {name}"
        memory = f"{middle(measured, 'peak_bytes') / 2**20:.0f}"
        if name != "ours":
            memory += f" ({middle(measured, 'bytes_before_model') / 2**20:.0f} before the model)"
        print(f"| {model} | {program} | {median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} | {memory} | "
              f"{ours / median(rates):.2f} |")


def print_targets(options, model, speeds, peak_gflops):
    ours = middle(speeds["ours"])
    peers = {name: middle(measured) for name, measured in speeds.items() if name != "ours"}
    best = max(peers, key=peers.get)
    target = TARGETS.get(model, 3.0 if parameters_of(options, model) < 2e6 else None)
    verdict = "" if target is None else f" (target {target}×: {'reached' if ours >= target * peers[best] else 'missed'})"
    print(f"- {model}: {ours / peers[best]:.2f}× Hugging Face at its best batch, {best}{verdict}")
    share = middle(speeds["ours"], "gflops") / peak_gflops
    print(f"- {model}: {share:.0%} of {peak_gflops:.0f} GFLOP/s, LibTorch's sgemm here, for the FLOPs executed (target "
          f"{TARGET_SHARE:.0%}: {'reached' if share >= TARGET_SHARE else 'missed'})")


def print_report(options, load, results):
    print(f"Training on the CPU, fp32, {options.threads} threads, {options.step_tokens} tokens an update, median of "
          f"{options.rounds} measurements of {options.seconds:g} s\n")
    print("| model | program | real tokens/s | range | peak memory, MiB | esmscale is faster by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for model, speeds in results.items():
        print_rows(model, speeds)
    print()
    peak_gflops = product_gflops(options.threads)
    for model, speeds in results.items():
        print_targets(options, model, speeds, peak_gflops)
    print(f"\n{place_and_time(options.command, options.esmscale)}; {options.peer_versions}; load at the start {load:.1f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--esmscale", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", default="benchmarks/cpu_training.sh", help="as printed under the table")
    parser.add_argument("--models", default="8M,35M", type=lambda names: names.split(","))
    parser.add_argument("--batches", default="1,8", type=lambda sizes: [int(size) for size in sizes.split(",")])
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--seconds", default=25.0, type=float)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--step-tokens", default=4096, type=int)
    parser.add_argument("--set", default=[], action="append", help="key=value, for esmscale")
    parser.add_argument("--quick", action="store_true", help="does it work? 8M, one round of a few seconds")
    options = parser.parse_args()
    if options.quick:
        options.models, options.rounds, options.seconds, options.step_tokens = ["8M"], 1, 2.0, 2048
    options.peer_sequences = min(PEER_SEQUENCES, sequences_in(options))
    return options


def main():
    options = parse()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"    the machine is busy (load {load:.1f}): figures will be too low", file=sys.stderr)
    print_report(options, load, {model: measure(options, model) for model in options.models})


if __name__ == "__main__":
    main()
