"""What the benchmarks share: the time and memory of a command, and the machine they were taken on."""

import collections
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import time

Cost = collections.namedtuple("Cost", "seconds cpu_seconds peak_bytes")


def fail(command, status, said):
    sys.exit(f"error: {' '.join(command)} ended with status {status}:\n{said[-2000:]}")


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        fail(command, done.returncode, done.stderr)
    return done.stdout


def cost_of(command):
    """Its wall-clock time, processor time and highest resident memory; what it prints is dropped."""
    with tempfile.TemporaryFile("w+") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            fail(command, process.returncode, said.read())
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def cpu_name():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def place_and_time(command, esmscale):
    """The line under a table: what was run, when, where."""
    return (f"{command}, {datetime.date.today()}, {cpu_name()}, {os.cpu_count()} cores; "
            f"{' '.join(output_of([esmscale, '--version']).split())}")
