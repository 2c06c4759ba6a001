"""A run folder as trackers of experiments want it: a name, settings by key, and numbers by step."""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

from esmtools.results import Json, fail, has_ended, read_json, read_metrics

NOT_METRICS = ("step", "time")


@dataclass
class Step:
    step: int
    time: float  # seconds since 1970
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass
class TrackedRun:
    folder: Path
    settings: dict[str, str | int | float | bool]  # of the configuration by key.path, and of the newest start
    steps: list[Step]
    is_finished: bool

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        """The same for every import of the folder, so that a later one continues the earlier one."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]


def flat(value: object, key: str = "") -> dict[str, str | int | float | bool]:
    """Nested objects by key.path; lists as text, and without what is null."""
    if isinstance(value, dict):
        return {
            path: leaf for name, part in value.items() for path, leaf in flat(part, f"{key}.{name}".lstrip(".")).items()
        }
    if value is None:
        return {}
    return {key: value if isinstance(value, str | int | float | bool) else str(value)}


def steps_of(lines: list[Json]) -> list[Step]:
    """Lines of one step (its training, an evaluation, norms of layers) become one; null is no number."""
    steps: dict[int, Step] = {}
    for line in lines:
        step = steps.setdefault(line["step"], Step(line["step"], line["time"]))
        step.metrics |= {
            key: float(value)
            for key, value in line.items()
            if key not in NOT_METRICS
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(value)
        }
    return [steps[step] for step in sorted(steps)]


def read_run(folder: Path) -> TrackedRun:
    folder = folder.resolve()
    if not (folder / "config.json").is_file():
        fail(f"{folder}: expected a run folder, which has a config.json")
    lines = read_metrics(folder / "metrics.jsonl")
    starts = read_json(folder / "environment.json") if (folder / "environment.json").is_file() else []
    return TrackedRun(
        folder,
        flat(read_json(folder / "config.json")) | flat({"environment": starts[-1]} if starts else {}),
        steps_of(lines),
        has_ended(folder, lines),
    )
