"""A laws.json of esmscale fit with a note of whose data it is, as configs/laws holds it."""

import argparse
import json
import pathlib
from typing import Any

KEPT = [
    "format",
    "version",
    "points",
    "basis",
    "interval_level",
    "bootstrap",
    "approach1",
    "approach2",
    "approach3",
    "kaplan",
    "why",
    "warnings",
    "planning",
    "budgets",
    "point_noise",
]


def slim(laws: dict[str, Any]) -> dict[str, Any]:
    """Without what no plan reads: curves of Kaplan's other laws, names of runs."""
    kept = {key: laws[key] for key in KEPT if key in laws}
    kept["kaplan"] = {"L_ND": laws["kaplan"].get("L_ND")}
    kept["repeats"] = None
    kept["runs"] = [{"parameters": run["parameters"], "flops": run["flops"]} for run in laws["runs"]]
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("laws", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    for note in ("name", "title", "source", "protocol", "own-law"):
        parser.add_argument(f"--{note}", required=True)
    given = parser.parse_args()
    published = {key: getattr(given, key) for key in ("name", "title", "source", "protocol", "own_law")}
    laws = {"provenance": published, **slim(json.loads(given.laws.read_text()))}
    laws["basis"]["source"] = published["title"]
    given.output.write_text(
        "{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in laws.items())
        + "\n}\n"
    )


if __name__ == "__main__":
    main()
