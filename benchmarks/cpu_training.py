"""Ours against Hugging Face's EsmForMaskedLM on the CPU, in turn, in one run; cpu_training.sh sets it up.

Both train the same shapes in fp32 on the same proteins in the same order, with the same tokens an update. Each
measurement is a fresh process; its start and first update are off the clock. Tokens are real: residues, START and END.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from measure import output_of, place_and_time

HERE = pathlib.Path(__file__).parent
TARGET_BEST, TARGET_BATCH_8 = 1.3, 3.0
PEER_SEQUENCES = 512  # read in turn; few, because they count as the peer's memory
Speed = collections.namedtuple("Speed", "tokens_per_second peak_bytes bytes_before_model", defaults=[None])


def run_json(command):
    return json.loads(output_of(command))


def resolved_config(options, model):
    """The model as `esmscale train` sees it, whatever --set says."""
    command = [options.esmscale, "train", "--config", f"esm2_{model}", "--data", options.data, "--dry-run", "--json"]
    return run_json([*command, *settings(options)])["config"]


def settings(options):
    own = [f"train.batch_tokens={options.step_tokens}", f"train.micro_batch_tokens={options.step_tokens}",
           "log.every_steps=1", "checkpoint.every_minutes=0"]
    return [word for setting in [*own, *options.set] for word in ("--set", setting)]


def metrics_lines(path):
    """Lines that are whole."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def measure_ours(options, model, folder):
    """Trains until enough steps were logged, then asks it to stop."""
    run = folder / "run"
    command = [options.esmscale, "train", "--config", f"esm2_{model}", "--data", options.data, "--output", str(run),
               "--device", "cpu", "--threads", str(options.threads), *settings(options)]
    with open(folder / "ours.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            lines = []
            while len(lines) < 2 or lines[-1]["time"] - lines[0]["time"] < options.seconds:
                time.sleep(0.2)
                if process.poll() is not None:
                    sys.exit(f"error: {' '.join(command)} ended:\n{(folder / 'ours.log').read_text()[-2000:]}")
                lines = metrics_lines(run / "metrics.jsonl")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    first, last = lines[0], lines[-1]
    rate = (last["tokens"] - first["tokens"]) / (last["time"] - first["time"])
    return Speed(rate, last["memory_bytes"])


def write_peer_sequences(options, path):
    fasta = output_of([options.esmscale, "fasta", options.data, "--range", f"0:{options.peer_sequences}"])
    records = fasta.split(">")[1:]
    path.write_text("\n".join("".join(record.split("\n")[1:]) for record in records))


def measure_peer(options, config, batch, sequences):
    model = config["model"]
    shape = {key: model[key] for key in ("layers", "width", "heads", "ffn", "alphabet")}
    shape["max_seq_len"] = config["data"]["max_seq_len"]
    result = run_json([sys.executable, "-W", "ignore", str(HERE / "cpu_training_peer.py"), "--shape",
                       json.dumps(shape), "--sequences", str(sequences), "--batch", str(batch), "--step-tokens",
                       str(options.step_tokens), "--seconds", str(options.seconds), "--threads", str(options.threads)])
    options.peer_versions = result.pop("versions")
    return Speed(**result)


def measure(options, model):
    """{name: [Speed of each round]}; names are "ours" and batch sizes."""
    config = resolved_config(options, model)
    speeds = collections.defaultdict(list)
    for number in range(options.rounds):
        for name in ["ours", *options.batches]:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                sequences = folder / "sequences.txt"
                if name == "ours":
                    speed = measure_ours(options, model, folder)
                else:
                    write_peer_sequences(options, sequences)
                    speed = measure_peer(options, config, name, sequences)
            speeds[name].append(speed)
            print(f"    {model}, round {number + 1}, {name}: {speed.tokens_per_second:.0f} tokens/s", file=sys.stderr)
    return speeds


def median(speeds, field="tokens_per_second"):
    return statistics.median(getattr(speed, field) for speed in speeds)


def print_rows(model, speeds):
    ours = median(speeds["ours"])
    for name, measured in speeds.items():
        rates = [speed.tokens_per_second for speed in measured]
        program = "esmscale" if name == "ours" else f"Hugging Face, batch {name}"
        memory = f"{median(measured, 'peak_bytes') / 2**20:.0f}"
        if name != "ours":
            memory += f" ({median(measured, 'bytes_before_model') / 2**20:.0f} before the model)"
        print(f"| {model} | {program} | {median(measured):.0f} | {min(rates):.0f} to {max(rates):.0f} | {memory} | "
              f"{ours / median(measured):.2f} |")


def print_targets(model, speeds):
    ours = median(speeds["ours"])
    peers = {name: median(measured) for name, measured in speeds.items() if name != "ours"}
    best = max(peers, key=peers.get)
    goals = [(f"its best batch, {best}", peers[best], TARGET_BEST)]
    if 8 in peers:
        goals.append(("its batch of 8", peers[8], TARGET_BATCH_8))
    for what, rate, target in goals:
        verdict = "reached" if ours >= target * rate else "missed"
        print(f"- {model}: {ours / rate:.2f}× Hugging Face at {what} (target {target}×: {verdict})")


def print_report(options, load, results):
    print(f"Training on the CPU, fp32, {options.threads} threads, {options.step_tokens} tokens an update, median of "
          f"{options.rounds} measurements of {options.seconds:g} s\n")
    print("| model | program | real tokens/s | range | peak memory, MiB | esmscale is faster by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for model, speeds in results.items():
        print_rows(model, speeds)
    print()
    for model, speeds in results.items():
        print_targets(model, speeds)
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
    available = run_json([options.esmscale, "info", options.data, "--json"])["sequences"]
    options.peer_sequences = min(PEER_SEQUENCES, available)
    return options


def main():
    options = parse()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"    the machine is busy (load {load:.1f}): figures will be too low", file=sys.stderr)
    print_report(options, load, {model: measure(options, model) for model in options.models})


if __name__ == "__main__":
    main()
