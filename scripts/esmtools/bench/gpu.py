"""Ours against Hugging Face's EsmForMaskedLM with torch.compile on one GPU, in turn, in one run; gpu_training.sh sets it
up. Tokens are real: residues, START and END; each measurement is a process of its own, its first steps off the clock.
The peers come last: they compile all at once, which takes minutes; nothing else runs while one program is measured.
"""

import argparse
import collections
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import trace_summary
from measure import output_of, place_and_time
from training_runs import (PEER, PEER_SEQUENCES, run_json, sequences_in, shape_of, tokens_per_second, train_for,
                           write_sequences)

# real tokens/s on one H200, bf16, and times the peer
TARGETS = {"8M": (4e6, 2.0), "35M": (1.2e6, 2.0), "150M": (4e5, 2.0), "650M": (1.23e5, 1.3)}
MICRO_TOKENS = {"8M": 131072, "35M": 131072, "150M": 65536, "650M": 32768}  # rows in flight, with padding
# The fused engine has room for more on a card of 100 GiB or more, and the configurations' own update, 524,288 tokens.
LARGE_CARD_MIB, LARGE_CARD_TOKENS = 100 * 1024, {"150M": 131072, "650M": 65536}
PROFILED_STEPS = 2
FIRST_LINES = 7  # of metrics.jsonl, off the clock: two, the profiled ones, those while the trace is written
Result = collections.namedtuple("Result", "rows tokens_per_second mfu peak_bytes launches time load")


def sample_of(line):
    """(watts, MHz, whether at the power limit), or None of a line that is cut or of a card that does not say."""
    words = line.split(", ")
    if len(words) != 3 or not words[2].endswith("Active"):
        return None
    try:
        return float(words[0]), float(words[1]), words[2] == "Active"
    except ValueError:
        return None


class Load:
    """What the card draws while a program runs on it, and at which clock: `said` has the medians of the samples in which
    it draws most of what it ever does, and in how many of them it is at its power limit."""
    QUERY = ["nvidia-smi", "--query-gpu=power.draw,clocks.sm,clocks_event_reasons.sw_power_cap",
             "--format=csv,noheader,nounits", "--loop-ms=250"]

    def __enter__(self):
        self.process, self.said = None, ""
        if shutil.which(self.QUERY[0]):
            self.samples = tempfile.TemporaryFile("w+")
            self.process = subprocess.Popen(self.QUERY, stdout=self.samples)
        return self

    def __exit__(self, *_):
        if not self.process:
            return
        self.process.terminate()
        self.process.wait()
        self.samples.seek(0)
        samples = [sample for line in self.samples.read().splitlines() if (sample := sample_of(line))]
        busy = [sample for sample in samples if sample[0] > 0.8 * max(samples)[0]]
        if busy:
            watts, clock, limited = (statistics.mean(x) if i == 2 else statistics.median(x)
                                     for i, x in enumerate(zip(*busy)))
            self.said = f"{watts:.0f} W, {clock:.0f} MHz, {limited:.0%}"


def config_of(model):
    return f"esm2_{model}" if model in MICRO_TOKENS else model


def rows_in_flight(options, model, engine):
    own = LARGE_CARD_TOKENS if engine == "fused" and options.card_mib >= LARGE_CARD_MIB else {}
    return own.get(model) or MICRO_TOKENS.get(model, 2048)


def settings(options, model, engine):
    tokens = rows_in_flight(options, model, engine)
    takes_own_update = engine == "fused" and model in MICRO_TOKENS
    update = [] if takes_own_update else [f"train.batch_tokens={tokens * options.micro_batches}"]
    own = [*update, f"train.micro_batch_tokens={tokens}", f"train.precision={options.precision}",
           f"train.engine={engine}", "log.every_steps=1", "checkpoint.every_minutes=0", "train.epochs=1000"]
    return [word for setting in [*own, *options.set] for word in ("--set", setting)]


def command_of(options, model, engine):
    return [options.esmscale, "train", "--config", config_of(model), "--data", options.data, "--device",
            options.device, *settings(options, model, engine)]


def measure_ours(options, model, engine, folder):
    run = folder / engine
    command = [*command_of(options, model, engine), "--profile", str(PROFILED_STEPS)]
    with Load() as load:
        lines, summary = train_for(command, run, options.seconds, first=FIRST_LINES)
    trace = json.loads((run / "trace.json").read_text())
    time, launches = trace_summary.kernel_time(trace)
    rows = json.loads((run / "config.json").read_text())["train"]["micro_batch_tokens"]  # --set may have changed them
    return Result(rows, tokens_per_second(lines), mfu_of(lines), summary["memory_tensors_peak"], launches,
                  time or trace_summary.own_time(trace), load.said)


def mfu_of(lines):
    """Of these lines: what the program says is of its own window, the start-up included."""
    last = lines[-1]
    return last["train/mfu"] and last["train/mfu"] / last["train/tokens_per_second"] * tokens_per_second(lines)


def start_peer(options, model, folder):
    config = run_json([*command_of(options, model, "plain"), "--dry-run", "--json"])["config"]
    tokens = rows_in_flight(options, model, "peer")
    sequences = folder / "sequences.txt"
    if not sequences.exists():
        write_sequences(options, options.peer_sequences, sequences)
    batch = max(2, min(tokens // config["data"]["max_seq_len"], options.peer_sequences))
    command = [sys.executable, "-W", "ignore", str(PEER), "--shape", json.dumps(shape_of(config)), "--sequences",
               str(sequences), "--batch", str(batch), "--step-tokens", str(tokens * options.micro_batches), "--seconds",
               str(options.seconds), "--threads", "2", "--device", options.device, "--precision", options.precision,
               "--warm-up-steps", "3", "--wait"]
    with open(folder / f"peer_{model}.log", "w") as log:
        return subprocess.Popen(command + (["--compile"] if options.compile else []), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=log, text=True)


def say_of_peer(peer, folder, model):
    line = peer.stdout.readline()
    if not line:
        sys.exit(f"error: the peer for {model} ended:\n{(folder / f'peer_{model}.log').read_text()[-2000:]}")
    return line


def measure_peer(options, peer, folder, model):
    with Load() as load:
        peer.stdin.write("go\n")
        peer.stdin.flush()
        result = json.loads(say_of_peer(peer, folder, model))
        peer.wait()
    options.peer_versions = result["versions"]
    return Result(rows_in_flight(options, model, "peer"), result["tokens_per_second"], None, result["peak_bytes"], None,
                  None, load.said)


def measure_peers(options, folder, results):
    peers = {model: start_peer(options, model, folder) for model in options.models}
    try:
        for model, peer in peers.items():
            say_of_peer(peer, folder, model)
        for model, peer in peers.items():
            results[model][options.peer_name] = measure_peer(options, peer, folder, model)
            say_rate(model, options.peer_name, results[model][options.peer_name])
    finally:
        for peer in peers.values():
            peer.kill()


def say_rate(model, program, result):
    print(f"    {model}, {program}: {result.tokens_per_second:.0f} tokens/s", file=sys.stderr)


def of_card(fields, otherwise):
    try:
        return output_of(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]).split("\n")[0]
    except FileNotFoundError:
        return otherwise


def print_row(model, program, result, ours):
    mfu = "" if result.mfu is None else f"{result.mfu:.1%}"
    launches = "" if result.launches is None else f"{result.launches:.0f}"
    print(f"| {model} | {program} | {result.rows} | {result.tokens_per_second:.0f} | {mfu} | "
          f"{result.peak_bytes / 2**20:.0f} | {launches} | {result.load} | {ours / result.tokens_per_second:.2f} |")


def print_report(options, results):
    print(f"Training on {options.device}, {options.precision}, {options.seconds:g} s each; an update: the "
          f"configuration's own (fused), {options.micro_batches} micro-batches (others)\n")
    print("| model | program | rows in flight | real tokens/s | MFU | peak of tensors, MiB | kernels a step | power, "
          "clock, how often at the power limit | esmscale fused is faster by |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for model, measured in results.items():
        for program, result in measured.items():
            print_row(model, program, result, measured["esmscale fused"].tokens_per_second)
    print()
    for model, measured in results.items():
        if model in TARGETS and options.device == "cuda":
            rate, times = TARGETS[model]
            ours, peer = measured["esmscale fused"].tokens_per_second, measured.get(options.peer_name)
            beside = f"; {ours / peer.tokens_per_second:.2f}× {options.peer_name}, goal {times}×" if peer else ""
            print(f"- {model}: {ours:.3g} of {rate:.3g} tokens/s (the goal is one H200's){beside}")
    for model, measured in results.items():
        print(f"\nWhere a step of {model} goes (fused):\n\n| what | ms | share |\n| --- | --- | --- |")
        for name, milliseconds, share in trace_summary.rows(measured["esmscale fused"].time, 10):
            print(f"| {name} | {milliseconds:.3f} | {share:.1%} |")
    print(f"\n{place_and_time(options.command, options.esmscale)}; {options.peer_versions}; {options.clocks}")


def measure_both(options, model):
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for engine in ("fused", "plain"):
            if engine in options.programs:
                results[f"esmscale {engine}"] = measure_ours(options, model, engine, pathlib.Path(folder))
    for program, result in results.items():
        say_rate(model, program, result)
    return results


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esmscale", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", default="benchmarks/gpu_training.sh", help="as printed under the table")
    parser.add_argument("--models", default="8M,35M,150M,650M", type=lambda names: names.split(","))
    parser.add_argument("--programs", default="fused,plain,peer", type=lambda names: names.split(","))
    parser.add_argument("--precision", default="bf16", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--micro-batches", default=4, type=int)
    parser.add_argument("--seconds", default=20.0, type=float)
    parser.add_argument("--set", default=[], action="append", help="key=value, for esmscale")
    parser.add_argument("--dry-run", action="store_true",
                        help="the same steps with a tiny model on the CPU: does everything but the GPU work?")
    options = parser.parse_args()
    if "fused" not in options.programs or not set(options.programs) <= {"fused", "plain", "peer"}:
        parser.error("--programs are fused and, if wanted, plain and peer")
    options.device, options.compile = "cuda", True
    if options.dry_run:
        options.device, options.compile, options.precision = "cpu", False, "fp32"
        options.models, options.seconds = ["quickstart"], 3.0
    options.peer_versions = "without a peer"
    options.peer_name = "Hugging Face + compile" if options.compile else "Hugging Face"
    options.peer_sequences = min(8 * PEER_SEQUENCES, sequences_in(options))
    options.clocks = of_card("name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu",
                             otherwise="no nvidia-smi here")
    options.card_mib = float(of_card("memory.total", otherwise="0"))
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: told to stop: the sizes measured so far are above"))
    results = {}
    try:
        for model in options.models:
            results[model] = measure_both(options, model)
        if "peer" in options.programs:
            with tempfile.TemporaryDirectory() as folder:
                measure_peers(options, pathlib.Path(folder), results)
    finally:
        if results:
            print_report(options, results)


if __name__ == "__main__":
    main()
