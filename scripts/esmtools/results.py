"""Files that esmscale writes, and tables and units for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

Json = dict[str, Any]


def fail(message: str) -> NoReturn:
    sys.exit(f"error: {message}")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def read_metrics(path: Path) -> list[Json]:
    """The records of a metrics.jsonl; a last line that was cut short is skipped. No file: no records."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                fail(f"{path}:{number}: expected JSON, found '{line[:60].rstrip()}'")
    return records


def has_ended(run: Path, records: Sequence[Json]) -> bool:
    """By the rule of the program: the last record says so, and the checkpoint of its step is there. A copy of a run may
    have no checkpoints; it has no lock either."""
    if not records or records[-1].get("finished") is not True:
        return False
    steps = [int(file.parent.name[len("step-") :]) for file in run.glob("checkpoints/step-*/checkpoint.json")]
    return max(steps) >= records[-1]["step"] if steps else not (run / "lock").exists()


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def human_seconds(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} seconds"


def human_count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"
