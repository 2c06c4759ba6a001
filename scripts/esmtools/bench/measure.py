"""What the benchmarks share: the time and memory of a command, and the machine that they ran on."""

import datetime
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from esmtools.processes import Words, fail_command, output_of

ROOT = Path(__file__).resolve().parents[3]


class Cost(NamedTuple):
    seconds: float  # wall clock
    cpu_seconds: float
    peak_bytes: int  # resident


def cost_of(command: Words) -> Cost:
    """The output of the command is dropped."""
    with tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            fail_command(command, process.returncode, errors.read())
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def footer(command: str, esmscale: Path | str) -> str:
    """The line under a table: command, date, machine, version."""
    version = " ".join(output_of([esmscale, "--version"]).split())
    return f"{command}, {datetime.date.today()}, {cpu_name()}, {os.cpu_count()} cores; {version}"


def command_line(program: str, arguments: Sequence[str]) -> str:
    return " ".join([program, *arguments])


def verdict(missed: Sequence[str]) -> str:
    return "missed at " + ", ".join(missed) if missed else "reached"
