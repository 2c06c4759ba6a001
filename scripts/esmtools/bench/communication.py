"""communication_when.py RUN COMMAND…: runs COMMAND, a training of RUN, in this network namespace, and prints which share of a
step's bytes its loopback device sent in which tenth of the step. Without overlap nearly all would leave in the last tenths,
when the backward pass is over. benchmarks/communication.sh --when calls it."""
import json
import subprocess
import sys
import time

TENTHS = 10
FIRST_STEPS = 2  # they allocate and connect


def bytes_sent():
    for line in open("/proc/net/dev"):
        if line.strip().startswith("lo:"):
            return int(line.split()[9])
    return 0


def record(command):
    """(time, bytes so far) about every millisecond while it runs."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    samples = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            samples.append((time.time(), bytes_sent()))
            time.sleep(0.001)
        if process.returncode != 0:
            sys.exit(process.stderr.read().decode())
    return samples


def shares(samples, ends):
    """Per tenth of a step, the mean share of the bytes that the step sent."""
    sums = [0.0] * TENTHS
    for begin, end in zip(ends, ends[1:]):
        inside = [(at, count) for at, count in samples if begin <= at < end]
        total = inside[-1][1] - inside[0][1]
        for (at, count), (_, following) in zip(inside, inside[1:]):
            sums[int(TENTHS * (at - begin) / (end - begin))] += (following - count) / total
    return [one / (len(ends) - 1) for one in sums]


def main(run, command):
    samples = record(command)
    lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    steps = [line for line in lines if "train/loss" in line][FIRST_STEPS:]
    ends = [line["time"] for line in steps]
    waits = sorted(line["train/communication_wait_seconds"] for line in steps)
    lengths = sorted(end - begin for begin, end in zip(ends, ends[1:]))
    print(f"{len(lengths)} steps, median {1e3 * lengths[len(lengths) // 2]:.0f} ms, of which rank 0 waits "
          f"{1e3 * waits[len(waits) // 2]:.0f} ms for communication")
    print("| tenth of the step | " + " | ".join(map(str, range(1, TENTHS + 1))) + " |")
    print("| --- " * (TENTHS + 1) + "|")
    print("| share of its bytes | " + " | ".join(f"{100 * one:.0f}%" for one in shares(samples, ends)) + " |")


main(sys.argv[1], sys.argv[2:])
