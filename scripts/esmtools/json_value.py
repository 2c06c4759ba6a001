"""Values of a JSON file for shell scripts."""

import json
import sys
from typing import Any

from esmtools.commands import run_command


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
    if file == "-":
        content = json.load(sys.stdin)
    else:
        with open(file) as text:
            content = json.load(text)
    try:
        print(*(value_at(content, key) for key in keys))
    except (KeyError, IndexError, ValueError) as error:
        sys.exit(f"error: {file}: expected {' '.join(keys)}, found no {error}")


if __name__ == "__main__":
    run_command(json_value)
