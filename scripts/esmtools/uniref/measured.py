"""measured.py RECORD FOLDER COMMAND…: runs COMMAND and writes what it took to the file RECORD as JSON.

seconds, cpu_seconds (of all threads and processes), peak_memory_bytes (resident, of the largest process under it) and peak_disk_bytes (of FOLDER, looked at every
two seconds). Nothing is written when the command fails; its status is this program's. A signal goes on to it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def folder_bytes(folder):
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:  # removed while we look
                pass
    return total


class DiskWatch(threading.Thread):
    def __init__(self, folder, every=2.0):
        super().__init__(daemon=True)
        self.folder, self.every, self.peak, self.ended = folder, every, 0, threading.Event()

    def run(self):
        while True:
            self.peak = max(self.peak, folder_bytes(self.folder))
            if self.ended.wait(self.every):
                return


def main():
    record, folder, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
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
        sys.exit(status if status > 0 else 128 - status)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    aside = record.with_name(record.name + ".partial")
    aside.write_text(json.dumps({"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime,
                                 "peak_memory_bytes": usage.ru_maxrss * 1024, "peak_disk_bytes": watch.peak}) + "\n")
    aside.replace(record)


main()
