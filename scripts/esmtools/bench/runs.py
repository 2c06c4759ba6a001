"""What the benchmarks of training share: training for some seconds with esmscale, and the input of its peer."""

import argparse
import json
import signal
import subprocess
import time
from pathlib import Path

from esmtools.processes import Words, json_of, output_of
from esmtools.results import Json, fail, read_metrics

PEER = ["-W", "ignore", "-m", "esmtools.bench.peer"]  # arguments of Python
PEER_SEQUENCES = 512  # that the peer reads in turn; few, because on a CPU they count as its memory


def comma_list(text: str) -> list[str]:
    return text.split(",")


def training_parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments that the benchmarks on CPU and GPU share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--esmscale", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", default=program, help="as printed under the table")
    parser.add_argument("--set", default=[], action="append", metavar="KEY=VALUE", help="a setting of esmscale")
    return parser


def config_name(model: str) -> str:
    """8M is short for the shipped esm2_8M; other names are used as they are."""
    return f"esm2_{model}" if model[:-1].isdigit() else model


def sequences_in(esmscale: str, data: str) -> int:
    count: int = json_of([esmscale, "info", data, "--json"])["sequences"]
    return count


def write_sequences(esmscale: str, data: str, count: int, path: Path) -> None:
    """The first sequences of the data set, one a line, for the peer."""
    records = output_of([esmscale, "fasta", data, "--range", f"0:{count}"]).split(">")[1:]
    path.write_text("\n".join("".join(record.split("\n")[1:]) for record in records))


def peer_shape(config: Json) -> str:
    """JSON for --shape of the peer."""
    model = config["model"]
    shape = {key: model[key] for key in ("layers", "width", "heads", "ffn", "alphabet")}
    return json.dumps({**shape, "max_seq_len": config["data"]["max_seq_len"]})


def train_for(command: Words, run: Path, seconds: float, first: int = 0) -> tuple[list[Json], Json]:
    """Trains until the steps from record `first` on took that long, then stops the run: those records of its metrics,
    and its summary."""
    log_file, summary = run.parent / f"{run.name}.log", run.parent / f"{run.name}.json"
    with open(log_file, "w") as log, open(summary, "w") as out:
        process = subprocess.Popen([*command, "--output", str(run), "--json"], stdout=out, stderr=log)
        try:
            records: list[Json] = []
            while len(records) < 2 or records[-1]["time"] - records[0]["time"] < seconds:
                time.sleep(0.2)
                if process.poll() is not None:
                    fail(f"{' '.join(map(str, command))} ended:\n{log_file.read_text()[-2000:]}")
                records = read_metrics(run / "metrics.jsonl")[first:]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return records, json.loads(summary.read_text())


def tokens_per_second(records: list[Json]) -> float:
    tokens: float = records[-1]["tokens"] - records[0]["tokens"]
    seconds: float = records[-1]["time"] - records[0]["time"]
    return tokens / seconds
