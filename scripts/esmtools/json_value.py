"""Values of a JSON file for shell scripts."""

import json
import sys
from pathlib import Path
from typing import Any

from esmtools.commands import run_command
from esmtools.results import fail


def value_at(content: Any, key: str) -> Any:
    """The value at a path of names and places: `jobs.0`. A last part `#` counts the items: `runs.#`."""
    for part in key.split("."):
        if part == "#":
            content = len(content)
        else:
            content = content[int(part) if isinstance(content, list) else part]
    return content


def json_value(file: str, *keys: str) -> None:
    """Print the values at KEYS, such as `jobs.0` or `runs.#` (their number), of a JSON FILE (`-`: standard input)."""
    try:
        content = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text())
    except ValueError as error:
        fail(f"{file}: expected JSON: {error}")
    try:
        print(*(value_at(content, key) for key in keys))
    except (KeyError, IndexError, ValueError) as error:
        fail(f"{file}: expected {' '.join(keys)}, found no {error}")


if __name__ == "__main__":
    run_command(json_value)
