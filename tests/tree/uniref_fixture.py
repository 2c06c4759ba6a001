"""What the tests of scripts/uniref share: a folder of one's own, proteins, and ways to run scripts and esmscale."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LETTERS = "LAGVSERTIDPKQNFYMHWC"
FULL_DISK = "echo Avail; echo 1000"  # a script in place of df


def protein(source: random.Random, length: int = 150) -> str:
    return "M" + "".join(source.choice(LETTERS) for _ in range(length - 1))


def copy_of(sequence: str, changed: float, source: random.Random) -> str:
    """Every position has the chance `changed` of another letter."""
    return "".join(
        source.choice([x for x in LETTERS if x != letter]) if source.random() < changed else letter
        for letter in sequence
    )


def fasta(records: Iterable[tuple[str, str]]) -> str:
    return "".join(f">{name} a description\n{sequence}\n" for name, sequence in records)


def names_in(text: str) -> list[str]:
    return [line[1:].split()[0] for line in text.splitlines() if line.startswith(">")]


def failing_mmseqs(pattern: str) -> str:
    """MMseqs2 that fails when its arguments match the shell's pattern."""
    return f'case "$*" in {pattern}) echo no luck; exit 3 ;; esac\n{quick_mmseqs()}'


def quick_mmseqs() -> str:
    """MMseqs2 at a sensitivity that takes half the time; it finds the copies too."""
    return f"exec {shutil.which('mmseqs')} $(echo \"$*\" | sed 's/-s 7.5/-s 1 -k 5/')"


class Scripts(unittest.TestCase):
    program: str  # esmscale; set by the test program

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="esmscale-uniref-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_script(self, script: str, *arguments: object, path: str | None = None, status: int = 0, **more: str) -> str:
        environment = {**os.environ, "ESMSCALE": self.program, "ESMSCALE_DEPS": str(self.folder / "deps"), **more}
        if path is not None:
            environment["PATH"] = path
        done = subprocess.run(
            ["/bin/bash", ROOT / "scripts/uniref" / script, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def esmscale(self, *arguments: object) -> str:
        return subprocess.run([self.program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    def info(self, dataset: Path) -> Any:
        return json.loads(self.esmscale("info", dataset, "--verify", "--json"))

    def programs_with(self, name: str, script: str) -> str:
        """A PATH whose first program of that name is this shell script."""
        folder = self.folder / f"with-{name}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def programs_without(self, name: str) -> Path:
        """A PATH that has every program except one."""
        folder = self.folder / f"without-{name}"
        if not folder.exists():
            folder.mkdir()
            for place in reversed(os.environ["PATH"].split(":")):
                for program in Path(place).glob("*"):
                    link = folder / program.name
                    link.unlink(missing_ok=True)
                    link.symlink_to(program)
            for hidden in (name, "apt-get"):
                (folder / hidden).unlink(missing_ok=True)
        return folder
