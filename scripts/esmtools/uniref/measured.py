"""Runs a command and writes to RECORD, as JSON, what it took.

seconds; cpu_seconds, of all threads and processes; peak_memory_bytes, resident, of the largest process; peak_disk_bytes
of FOLDER, read every two seconds. If the command fails, nothing is written and its status is the status of this
program. Signals are passed to the command.
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):  # removed in the meantime
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


class DiskWatch(threading.Thread):
    def __init__(self, folder: Path, every: float = 2.0) -> None:
        super().__init__(daemon=True)
        self.folder, self.every, self.peak, self.ended = folder, every, 0, threading.Event()

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, folder_bytes(self.folder))
            if self.ended.wait(self.every):
                return


def measure(record: Path, folder: Path, command: list[str]) -> int:
    """The exit status of the command."""
    watch = DiskWatch(folder)
    watch.start()
    begin = time.monotonic()
    child = subprocess.Popen(command, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.killpg(child.pid, received))
    status = child.wait()
    seconds = time.monotonic() - begin
    watch.ended.set()
    watch.join()
    if status != 0:
        return status if status > 0 else 128 - status
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * 1024,
        "peak_disk_bytes": watch.peak,
    }
    aside = record.with_name(record.name + ".partial")
    aside.write_text(json.dumps(content) + "\n")
    aside.replace(record)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    sys.exit(measure(given.record, given.folder, given.command))


if __name__ == "__main__":
    main()
