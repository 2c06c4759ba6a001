#!/usr/bin/env python3
"""Runs scripts/esmtools/bench/busy_machine.py; see --help."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
    runpy.run_module("esmtools.bench.busy_machine", run_name="__main__", alter_sys=False)
