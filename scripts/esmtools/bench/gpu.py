"""esmscale against Hugging Face's EsmForMaskedLM with torch.compile on one GPU, in turn, in one run;
benchmarks/gpu_training.sh sets it up.

Tokens are real: residues, START and END; each measurement is a process of its own, its first steps are not timed. The
peers come last: they compile all at once, which takes minutes; nothing else runs while one program is measured.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from esmtools.bench import card, runs, trace
from esmtools.bench.measure import footer
from esmtools.processes import json_of, set_options
from esmtools.results import Json, fail, markdown_table, read_json

# real tokens/s on one H200, bf16, and times the peer
TARGETS = {"8M": (4e6, 2.0), "35M": (1.2e6, 2.0), "150M": (4e5, 2.0), "650M": (1.23e5, 1.3)}
MICRO_TOKENS = {"8M": 131072, "35M": 131072, "150M": 65536, "650M": 32768}  # rows in flight, with padding
# A card of 100 GiB or more has room for more with the fused engine, and for the configurations' own update.
LARGE_CARD_MIB, LARGE_CARD_TOKENS = 100 * 1024, {"150M": 131072, "650M": 65536}
PROFILED_STEPS = 2
FIRST_RECORDS = 7  # of metrics.jsonl, not timed: two, the profiled ones, those while the trace is written
PROGRAMS = ("fused", "plain", "peer")
OURS = "esmscale fused"
HEAD = [
    "model",
    "program",
    "rows in flight",
    "real tokens/s",
    "MFU",
    "peak of tensors, MiB",
    "kernels per step",
    "power, clock, share of time at the power limit",
    "esmscale fused is faster by",
]


@dataclass
class Result:
    rows: int
    tokens_per_second: float
    peak_bytes: int
    load: str
    mfu: float | None = None
    launches: float | None = None
    time: dict[str, float] = field(default_factory=dict)  # microseconds of a step by class of kernels


Results = dict[str, dict[str, Result]]  # of models, then of programs


def mfu_of(records: list[Json]) -> float | None:
    """MFU of these records; the program's own figure includes its start."""
    last = records[-1]
    if not last["train/mfu"]:
        return None
    mfu: float = last["train/mfu"] / last["train/tokens_per_second"] * runs.tokens_per_second(records)
    return mfu


class Benchmark:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device, self.is_compiled, self.precision = "cuda", True, options.precision
        if options.dry_run:
            self.device, self.is_compiled, self.precision = "cpu", False, "fp32"
        self.peer_name = "Hugging Face + compile" if self.is_compiled else "Hugging Face"
        self.peer_versions = "without a peer"
        self.peer_sequences = min(8 * runs.PEER_SEQUENCES, runs.sequences_in(options.esmscale, options.data))
        self.card_mib = float(card.query("memory.total", otherwise="0"))

    def rows_in_flight(self, model: str, engine: str) -> int:
        if engine == "fused" and self.card_mib >= LARGE_CARD_MIB and model in LARGE_CARD_TOKENS:
            return LARGE_CARD_TOKENS[model]
        return MICRO_TOKENS.get(model, 2048)

    def training_command(self, model: str, engine: str) -> list[str]:
        options, tokens = self.options, self.rows_in_flight(model, engine)
        has_own_update = engine == "fused" and model in MICRO_TOKENS
        settings = [
            *([] if has_own_update else [f"train.batch_tokens={tokens * options.micro_batches}"]),
            f"train.micro_batch_tokens={tokens}",
            f"train.precision={self.precision}",
            f"train.engine={engine}",
            "log.every_steps=1",
            "checkpoint.every_minutes=0",
            "train.epochs=1000",
            "optimizer.name=adam",  # as the peers
            *options.set,
        ]
        command = [options.esmscale, "train", "--config", runs.config_name(model), "--data", options.data]
        return [*command, "--device", self.device, *set_options(settings)]

    def measure_engine(self, model: str, engine: str, folder: Path) -> Result:
        run = folder / engine
        command = [*self.training_command(model, engine), "--profile", str(PROFILED_STEPS)]
        with card.Load() as load:
            records, summary = runs.train_for(command, run, self.options.seconds, first=FIRST_RECORDS)
        events = read_json(run / "trace.json")
        time, launches = trace.kernel_time(events)
        return Result(
            rows=read_json(run / "config.json")["train"]["micro_batch_tokens"],  # --set may have changed them
            tokens_per_second=runs.tokens_per_second(records),
            peak_bytes=summary["memory_tensors_peak"],
            load=load.summary,
            mfu=mfu_of(records),
            launches=launches,
            time=time or trace.own_time(events),
        )

    def measure_engines(self, model: str) -> dict[str, Result]:
        results = {}
        with tempfile.TemporaryDirectory() as folder:
            for engine in ("fused", "plain"):
                if engine in self.options.programs:
                    results[f"esmscale {engine}"] = self.measure_engine(model, engine, Path(folder))
        for program, result in results.items():
            print_rate(model, program, result)
        return results

    def start_peer(self, model: str, folder: Path) -> "Peer":
        options, tokens = self.options, self.rows_in_flight(model, "peer")
        config = json_of([*self.training_command(model, "plain"), "--dry-run", "--json"])["config"]
        sequences = folder / "sequences.txt"
        if not sequences.exists():
            runs.write_sequences(options.esmscale, options.data, self.peer_sequences, sequences)
        batch = max(2, min(tokens // config["data"]["max_seq_len"], self.peer_sequences))
        given = ["--shape", runs.peer_shape(config), "--sequences", str(sequences), "--batch", str(batch)]
        timing = ["--step-tokens", str(tokens * options.micro_batches), "--seconds", str(options.seconds)]
        precision = "bf16" if self.precision == "fp8" else self.precision  # the peer has no FP8
        machine = ["--threads", "2", "--device", self.device, "--precision", precision]
        how = ["--warm-up-steps", "3", "--wait", *(["--compile"] if self.is_compiled else [])]
        return Peer(model, [sys.executable, *runs.PEER, *given, *timing, *machine, *how], folder / f"peer_{model}.log")

    def measure_peer(self, peer: "Peer") -> Result:
        with card.Load() as load:
            result = peer.measure()
        self.peer_versions = result["versions"]
        rows = self.rows_in_flight(peer.model, "peer")
        return Result(rows, result["tokens_per_second"], result["peak_bytes"], load.summary)

    def measure_peers(self, folder: Path, results: Results) -> None:
        peers = [self.start_peer(model, folder) for model in self.options.models]
        try:
            for peer in peers:
                peer.line()  # it is ready
            for peer in peers:
                result = results[peer.model][self.peer_name] = self.measure_peer(peer)
                print_rate(peer.model, self.peer_name, result)
        finally:
            for peer in peers:
                peer.process.kill()


class Peer:
    """A process that has compiled its model and waits to be measured."""

    def __init__(self, model: str, command: list[str], log: Path) -> None:
        self.model, self.log = model, log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def line(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            fail(f"the peer for {self.model} ended:\n{self.log.read_text()[-2000:]}")
        return line

    def measure(self) -> Json:
        if self.process.stdin:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        result: Json = json.loads(self.line())
        self.process.wait()
        return result


def print_rate(model: str, program: str, result: Result) -> None:
    print(f"    {model}, {program}: {result.tokens_per_second:.0f} tokens/s", file=sys.stderr)


def table_row(model: str, program: str, result: Result, ours: Result) -> list[str]:
    return [
        model,
        program,
        str(result.rows),
        f"{result.tokens_per_second:.0f}",
        "" if result.mfu is None else f"{result.mfu:.1%}",
        f"{result.peak_bytes / 2**20:.0f}",
        "" if result.launches is None else f"{result.launches:.0f}",
        result.load,
        f"{ours.tokens_per_second / result.tokens_per_second:.2f}",
    ]


def print_targets(benchmark: Benchmark, results: Results) -> None:
    for model, measured in results.items():
        if model in TARGETS and benchmark.device == "cuda":
            rate, times = TARGETS[model]
            ours, peer = measured[OURS].tokens_per_second, measured.get(benchmark.peer_name)
            against = ""
            if peer:
                against = f"; {ours / peer.tokens_per_second:.2f}× {benchmark.peer_name}, target {times}×"
            print(f"- {model}: {ours:.3g} of {rate:.3g} tokens/s (the target is for one H200){against}")


def print_report(benchmark: Benchmark, results: Results, clocks: str) -> None:
    options = benchmark.options
    print(
        f"Training on {benchmark.device}, {benchmark.precision}, {options.seconds:g} s each; an update: the "
        f"configuration's own (fused), {options.micro_batches} micro-batches (others)\n"
    )
    rows = [
        table_row(model, program, result, measured[OURS])
        for model, measured in results.items()
        for program, result in measured.items()
    ]
    print(markdown_table(HEAD, rows), end="\n\n")
    print_targets(benchmark, results)
    for model, measured in results.items():
        print(f"\nTime of a step of {model} (fused):\n\n{trace.table(measured[OURS].time, 10)}")
    print(f"\n{footer(options.command, options.esmscale)}; {benchmark.peer_versions}; {clocks}")


def parse() -> argparse.Namespace:
    parser = runs.training_parser("benchmarks/gpu_training.sh", __doc__)
    parser.add_argument("--models", default=list(TARGETS), type=runs.comma_list)
    parser.add_argument("--programs", default=list(PROGRAMS), type=runs.comma_list)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "tf32", "bf16", "fp8"])
    parser.add_argument("--micro-batches", default=4, type=int)
    parser.add_argument("--seconds", default=20.0, type=float)
    text = "the same steps with a tiny model on the CPU: does everything except the GPU work?"
    parser.add_argument("--dry-run", action="store_true", help=text)
    options = parser.parse_args()
    if "fused" not in options.programs or not set(options.programs) <= set(PROGRAMS):
        parser.error("--programs are fused and, if wanted, plain and peer")
    if options.dry_run:
        options.models, options.seconds = ["quickstart"], 3.0
    return options


def main() -> None:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: fail("stopped by SIGTERM: the sizes measured so far are above"))
    benchmark = Benchmark(options)
    fields = "name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu"
    clocks = card.query(fields, otherwise="no nvidia-smi here")
    results: Results = {}
    try:
        for model in options.models:
            results[model] = benchmark.measure_engines(model)
        if "peer" in options.programs:
            with tempfile.TemporaryDirectory() as folder:
                benchmark.measure_peers(Path(folder), results)
    finally:
        if results:
            print_report(benchmark, results, clocks)


if __name__ == "__main__":
    main()
