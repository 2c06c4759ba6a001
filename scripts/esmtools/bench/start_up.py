"""How long training takes to start on 64 million sequences, and how much memory: start_up.py FOLDER [SEQUENCES] [BUILD]

Makes a data set of so many sequences of 10 residues in FOLDER/set (kept there for the next time) and one of 1,000, and
trains the quickstart's model on both for two steps: seconds from the start of the process to its end, and its peak of
resident memory, medians of three. Lengths, index and identifiers are mapped, so most of the difference is pages of
lengths that were looked at once.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LENGTH = 10


def make_set(build, folder, sequences):
    if not (folder / "set/manifest.json").exists():
        subprocess.run([build / "benchmark_prepare_scale", folder, "--residues", str(LENGTH * sequences), "--length",
                        str(LENGTH), "--keep"], check=True)
    return folder / "set"


def start(build, data, run):
    shutil.rmtree(run, ignore_errors=True)
    begin = time.monotonic()
    child = subprocess.Popen([build / "esmscale", "train", "--config", ROOT / "configs/quickstart.json", "--data", data,
                              "--output", run, "--device", "cpu", "--set", "data.holdout=", "--set",
                              "train.max_tokens=4096"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status != 0:
        sys.exit(f"training on {data} failed")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def main():
    folder = Path(sys.argv[1])
    sequences = int(sys.argv[2]) if len(sys.argv) > 2 else 64_000_000
    build = Path(sys.argv[3]) if len(sys.argv) > 3 else ROOT / "build/release"
    print("| sequences | seconds to train two steps | peak memory |\n| --- | --- | --- |")
    for count, place in ((1_000, folder / "small"), (sequences, folder)):
        data = make_set(build, place, count)
        taken = [start(build, data, folder / "run") for _ in range(3)]
        seconds, memory = (statistics.median(values) for values in zip(*taken))
        print(f"| {count:,} | {seconds:.2f} | {memory:.0f} MiB |", flush=True)


main()
