"""What cpu_training.py and gpu_training.py share: running ours for some seconds, and what a run says about itself."""

import json
import pathlib
import signal
import statistics
import subprocess
import sys
import time

from measure import output_of

PEER = pathlib.Path(__file__).parent / "training_peer.py"
PEER_SEQUENCES = 512  # read in turn; few, because on a CPU they count as the peer's memory


def run_json(command):
    return json.loads(output_of(command))


def sequences_in(options):
    return run_json([options.esmscale, "info", options.data, "--json"])["sequences"]


def write_sequences(options, count, path):
    """The first of the data set, one a line, for the peer."""
    fasta = output_of([options.esmscale, "fasta", options.data, "--range", f"0:{count}"])
    records = fasta.split(">")[1:]
    path.write_text("\n".join("".join(record.split("\n")[1:]) for record in records))


def shape_of(config):
    shape = {key: config["model"][key] for key in ("layers", "width", "heads", "ffn", "alphabet")}
    return {**shape, "max_seq_len": config["data"]["max_seq_len"]}


def metrics_lines(path):
    """Lines that are whole."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def train_for(command, run, seconds, first=0):
    """Trains until steps from line `first` on took so long, then asks it to stop: those lines of its metrics, and its
    summary as JSON."""
    log_file, summary = run.parent / f"{run.name}.log", run.parent / f"{run.name}.json"
    with open(log_file, "w") as log, open(summary, "w") as out:
        process = subprocess.Popen([*command, "--output", str(run), "--json"], stdout=out, stderr=log)
        try:
            lines = []
            while len(lines) < 2 or lines[-1]["time"] - lines[0]["time"] < seconds:
                time.sleep(0.2)
                if process.poll() is not None:
                    sys.exit(f"error: {' '.join(command)} ended:\n{log_file.read_text()[-2000:]}")
                lines = metrics_lines(run / "metrics.jsonl")[first:]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return lines, json.loads(summary.read_text())


def tokens_per_second(lines):
    return (lines[-1]["tokens"] - lines[0]["tokens"]) / (lines[-1]["time"] - lines[0]["time"])


def median(values):
    return statistics.median(values)
