"""What nvidia-smi says about a GPU."""

import shutil
import statistics
import subprocess
import tempfile
from types import TracebackType
from typing import NamedTuple

from esmtools.processes import output_of


class Sample(NamedTuple):
    watts: float
    clock: float  # MHz
    is_limited: bool  # at the power limit


def sample_of(line: str) -> Sample | None:
    """None for a line that is cut or of a card that does not report these."""
    words = line.split(", ")
    if len(words) != 3 or not words[2].endswith("Active"):
        return None
    try:
        return Sample(float(words[0]), float(words[1]), words[2] == "Active")
    except ValueError:
        return None


class Load:
    """Power and clock of the card while a program runs: `summary` has the medians of the samples in which it draws most
    of its highest power, and the share of them at the power limit. Empty without nvidia-smi."""

    QUERY = [
        "nvidia-smi",
        "--query-gpu=power.draw,clocks.sm,clocks_event_reasons.sw_power_cap",
        "--format=csv,noheader,nounits",
        "--loop-ms=250",
    ]

    def __init__(self) -> None:
        self.summary = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.output = tempfile.TemporaryFile("w+")

    def __enter__(self) -> "Load":
        if shutil.which(self.QUERY[0]):
            self.process = subprocess.Popen(self.QUERY, stdout=self.output)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.output.seek(0)
            self.summary = summary_of([sample for line in self.output if (sample := sample_of(line.rstrip("\n")))])
        self.output.close()


def summary_of(samples: list[Sample]) -> str:
    if not samples:
        return ""
    highest = max(sample.watts for sample in samples)
    busy = [sample for sample in samples if sample.watts > 0.8 * highest]
    watts = statistics.median(sample.watts for sample in busy)
    clock = statistics.median(sample.clock for sample in busy)
    limited = sum(sample.is_limited for sample in busy) / len(busy)
    return f"{watts:.0f} W, {clock:.0f} MHz, {limited:.0%}"


def query(fields: str, otherwise: str) -> str:
    try:
        return output_of(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]).split("\n")[0]
    except FileNotFoundError:
        return otherwise
