"""esmscale against Hugging Face's EsmForMaskedLM on the CPU, in turn, in one run; benchmarks/cpu_training.sh calls it.

Both train the same shapes on the same proteins in the same order, with the same tokens per update, in fp32 and, if
asked, in bf16 (the peer by autocast). Each measurement is a fresh process; its start and first update are not timed.
Tokens are real: residues, START and END.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from esmtools.bench import runs
from esmtools.bench.measure import footer
from esmtools.processes import json_of, set_options
from esmtools.results import Json, markdown_table

TARGETS = {"8M": 2.0, "35M": 1.5}  # times the peer at its best batch; 3 for models below 2M parameters
BF16_TARGETS = {"fp32": 3.5, "bf16": 2.0}  # of ours in bf16, by the precision of the peer
TARGET_SHARE = 0.6  # of the machine's matrix products, for the FLOPs executed
HEAD = ["model", "program", "real tokens/s", "range", "peak memory, MiB", "esmscale is faster by"]


class Program(NamedTuple):
    batch: str  # sequences in a batch of the peer; "": ours
    precision: str

    def __str__(self) -> str:
        return f"Hugging Face, batch {self.batch}, {self.precision}" if self.batch else f"esmscale, {self.precision}"


OURS = Program("", "fp32")


class Speed(NamedTuple):
    tokens_per_second: float
    peak_bytes: int
    bytes_before_model: int = 0  # of the peer
    gflops: float = 0.0  # of esmscale


Speeds = dict[Program, list[Speed]]  # of each round


class Benchmark:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.peer_sequences = min(runs.PEER_SEQUENCES, runs.sequences_in(options.esmscale, options.data))
        self.peer_versions = ""

    def training_command(self, model: str) -> list[str]:
        options = self.options
        settings = [
            f"train.batch_tokens={options.step_tokens}",
            f"train.micro_batch_tokens={options.step_tokens}",
            "log.every_steps=1",
            "checkpoint.every_minutes=0",
            "data.holdout=",
            "optimizer.name=adam",  # as the peers
            *options.set,
        ]
        command = [options.esmscale, "train", "--config", runs.config_name(model), "--data", options.data]
        return [*command, *set_options(settings)]

    def dry_run(self, model: str) -> Json:
        """The model as `esmscale train` sees it, with every --set."""
        result: Json = json_of([*self.training_command(model), "--dry-run", "--json"])
        return result

    def measure_esmscale(self, model: str, precision: str, folder: Path) -> Speed:
        command = [*self.training_command(model), "--device", "cpu", "--threads", str(self.options.threads)]
        command += set_options([f"train.precision={precision}"])
        records, _ = runs.train_for(command, folder / "run", self.options.seconds)
        gflops = median(record["train/gflops_per_second"] for record in records)
        return Speed(runs.tokens_per_second(records), records[-1]["memory_bytes"], gflops=gflops)

    def measure_peer(self, config: Json, program: Program, folder: Path) -> Speed:
        options, sequences = self.options, folder / "sequences.txt"
        runs.write_sequences(options.esmscale, options.data, self.peer_sequences, sequences)
        given = ["--shape", runs.peer_shape(config), "--sequences", str(sequences), "--batch", program.batch]
        given += ["--precision", program.precision]
        timing = ["--step-tokens", str(options.step_tokens), "--seconds", str(options.seconds)]
        result = json_of([sys.executable, *runs.PEER, *given, *timing, "--threads", str(options.threads)])
        self.peer_versions = result.pop("versions")
        return Speed(**result)

    def measure(self, model: str) -> Speeds:
        config = self.dry_run(model)["config"]
        precisions = ["fp32", "bf16"] if self.options.bf16 else ["fp32"]
        speeds: Speeds = {Program(batch, each): [] for batch in ["", *self.options.batches] for each in precisions}
        for number in range(self.options.rounds):
            for program, measured in speeds.items():
                with tempfile.TemporaryDirectory() as folder:
                    if not program.batch:
                        speed = self.measure_esmscale(model, program.precision, Path(folder))
                    else:
                        speed = self.measure_peer(config, program, Path(folder))
                measured.append(speed)
                rate = f"{speed.tokens_per_second:.0f} tokens/s"
                print(f"    {model}, round {number + 1}, {program}: {rate}", file=sys.stderr)
        return speeds

    def target_of(self, model: str) -> float | None:
        if model in TARGETS:
            return TARGETS[model]
        return 3.0 if self.dry_run(model)["plan"]["parameters"]["trainable"] < 2e6 else None


def median_rate(speeds: list[Speed]) -> float:
    return median(speed.tokens_per_second for speed in speeds)


def product_gflops(threads: int) -> float:
    """LibTorch's sgemm on this machine: the median of nine products."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.randn(4096, 1024), torch.randn(1024, 1024)
    seconds: list[float] = []
    for _ in range(10):
        begin = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - begin)
    flops: int = 2 * a.shape[0] * a.shape[1] * b.shape[1]
    return 1e-9 * flops / median(seconds[1:])


def table_row(model: str, program: Program, measured: list[Speed], speed_of_ours: float) -> list[str]:
    rates = [speed.tokens_per_second for speed in measured]
    memory = f"{median(speed.peak_bytes for speed in measured) / 2**20:.0f}"
    if program.batch:
        before = median(speed.bytes_before_model for speed in measured) / 2**20
        memory += f" ({before:.0f} before the model)"
    speed_range = f"{min(rates):.0f} to {max(rates):.0f}"
    return [model, str(program), f"{median(rates):.0f}", speed_range, memory, f"{speed_of_ours / median(rates):.2f}"]


def print_ratio(model: str, speeds: Speeds, ours: Program, precision: str, target: float | None) -> None:
    """`ours` against the peer at its best batch in a precision."""
    rate = median_rate(speeds[ours])
    peers = {
        program: median_rate(measured)
        for program, measured in speeds.items()
        if program.batch and program.precision == precision
    }
    peer, best = max(peers.items(), key=lambda peer: peer[1])
    verdict = "" if target is None else f" (target {target}×: {'reached' if rate >= target * best else 'missed'})"
    print(f"- {model}: {ours} is {rate / best:.2f}× {peer}, its best{verdict}")


def print_targets(model: str, speeds: Speeds, target: float | None, peak_gflops: float) -> None:
    print_ratio(model, speeds, OURS, "fp32", target)
    in_bf16 = Program("", "bf16")
    if in_bf16 in speeds:
        print(f"- {model}: {in_bf16} is {median_rate(speeds[in_bf16]) / median_rate(speeds[OURS]):.2f}× {OURS}")
        for precision, bf16_target in BF16_TARGETS.items():
            print_ratio(model, speeds, in_bf16, precision, bf16_target)
    share = median(speed.gflops for speed in speeds[OURS]) / peak_gflops
    verdict = "reached" if share >= TARGET_SHARE else "missed"
    print(
        f"- {model}: {share:.0%} of {peak_gflops:.0f} GFLOP/s, LibTorch's sgemm here, for the FLOPs executed "
        f"(target {TARGET_SHARE:.0%}: {verdict})"
    )


def print_report(benchmark: Benchmark, load: float, results: dict[str, Speeds]) -> None:
    options = benchmark.options
    print(
        f"Training on the CPU, {options.threads} threads, {options.step_tokens} tokens per update, median of "
        f"{options.rounds} measurements of {options.seconds:g} s\n"
    )
    rows = [
        table_row(model, program, measured, median_rate(speeds[OURS]))
        for model, speeds in results.items()
        for program, measured in speeds.items()
    ]
    print(markdown_table(HEAD, rows), end="\n\n")
    peak_gflops = product_gflops(options.threads)
    for model, speeds in results.items():
        print_targets(model, speeds, benchmark.target_of(model), peak_gflops)
    place = footer(options.command, options.esmscale)
    print(f"\n{place}; {benchmark.peer_versions}; load at the start {load:.1f}")


def parse() -> argparse.Namespace:
    parser = runs.training_parser("benchmarks/cpu_training.sh", __doc__)
    parser.add_argument("--models", default=["8M", "35M"], type=runs.comma_list)
    parser.add_argument("--batches", default=["1", "8"], type=runs.comma_list, help="sequences in a batch of the peer")
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--seconds", default=25.0, type=float)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--step-tokens", default=4096, type=int)
    parser.add_argument("--bf16", action="store_true", help="both programs in bf16 too")
    parser.add_argument("--quick", action="store_true", help="does it work? 8M, one round of a few seconds")
    options = parser.parse_args()
    if options.quick:
        options.models, options.rounds, options.seconds, options.step_tokens = ["8M"], 1, 2.0, 2048
    return options


def main() -> None:
    options = parse()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"    the machine is busy (load {load:.1f}): speeds will be too low", file=sys.stderr)
    benchmark = Benchmark(options)
    print_report(benchmark, load, {model: benchmark.measure(model) for model in options.models})


if __name__ == "__main__":
    main()
