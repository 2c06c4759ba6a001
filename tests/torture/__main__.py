"""python3 -m torture PROGRAM [ATTACK…] [--long] [--seed N]"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture import disk, findings, kills, links, together
from torture.bench import Bench, FindingError

# Kills do not depend on the disk, and syncs to it would take most of the time.
MEMORY = Path("/dev/shm")


@dataclass
class Attack:
    run: Callable[[Bench, int], int]  # returns the number of what it did
    what: str
    short: int
    long: int


ATTACKS = {
    "train": Attack(kills.train, "kills and signals", 8, 120),
    "ranks": Attack(kills.ranks, "kills and signals", 6, 120),
    "study": Attack(kills.study, "kills and signals", 4, 100),
    "prepare": Attack(kills.prepare, "kills and signals", 5, 160),
    "disk": Attack(disk.attack, "full disks", 1, 10),
    "links": Attack(links.attack, "links", 24, 0),
    "together": Attack(together.attack, "several processes at once", 1, 10),
    "findings": Attack(findings.attack, "kinds of earlier faults", 1, 1),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description="Attacks an esmscale program.")
    parser.add_argument("program", type=Path)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)}; default: all")
    parser.add_argument("--long", action="store_true", help="500 kills, all links; about an hour")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is chosen by chance")
    options = parser.parse_args()
    unknown = [name for name in options.attacks if name not in ATTACKS]
    if unknown:
        parser.error(f"no attack {unknown[0]}; there are {', '.join(ATTACKS)}")
    print(f"seed {options.seed}", flush=True)
    found = 0
    for name in options.attacks or ATTACKS:
        attack = ATTACKS[name]
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="torture-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
            try:
                done = attack.run(
                    Bench(options.program.resolve(), Path(folder), options.seed),
                    attack.long if options.long else attack.short,
                )
                print(f"{name}: {done} {attack.what}, nothing found, {time.monotonic() - begin:.0f} s", flush=True)
            except FindingError as finding:
                found += 1
                print(f"{name}: FOUND with seed {options.seed}: {finding}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
