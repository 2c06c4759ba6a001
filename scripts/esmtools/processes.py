"""Running esmscale and other programs."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from esmtools.results import fail

Words = Sequence[str | Path]


def fail_command(command: Words, status: int, output: str) -> NoReturn:
    fail(f"{' '.join(map(str, command))} ended with status {status}:\n{output[-2000:]}")


def output_of(command: Words) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        fail_command(command, done.returncode, done.stderr)
    return done.stdout


def json_of(command: Words) -> Any:
    return json.loads(output_of(command))


def set_options(settings: Sequence[str]) -> list[str]:
    """`--set` for each setting KEY=VALUE."""
    return [word for setting in settings for word in ("--set", setting)]
