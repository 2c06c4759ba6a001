"""scripts/esmtools/study/cpu.py on a small study written by hand. Oracle: means and errors worked out here."""

import json
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"


def write_run(folder: Path, loss: float, lines: int = 1, finished: bool = True) -> None:
    folder.mkdir(parents=True)
    records: list[dict[str, Any]] = [
        {"step": i, "tokens": 1000 * i, "train/loss": 3 - i / lines, "time": 1.7e9} for i in range(1, lines + 1)
    ]
    records.append(
        {
            "step": lines,
            "tokens": 1000 * lines,
            "eval/loss": loss,
            "eval/standard_error": 0.01,
            "eval/checkpoint": "/home/me/run/checkpoints/step-7",
            "finished": finished,
        }
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "config.json").write_text(
        json.dumps({"data": {"train": "/home/me/train", "holdout": "/home/me/holdout"}})
    )
    (folder / "environment.json").write_text(json.dumps([{"host": "mine", "version": "1", "data": {"train": "abc"}}]))


class StudyCpu(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.study = self.folder / "study"
        runs: list[dict[str, Any]] = [
            {
                "name": f"c{budget}_{size}_s1",
                "stage": "main",
                "seed": 1,
                "budget": budget,
                "parameters": 100 * size,
                "tokens": 6000,
                "shape": f"1x{size}x2",
                "config": f"configs/{size}.json",
            }
            for budget in (1, 2)
            for size in (1, 2, 3)
        ]
        for run in runs:
            write_run(self.study / "runs" / run["name"], 2.5)
        (self.study / "study.json").write_text(json.dumps({"runs": runs}))

    def run_helper(self, *arguments: object, status: int = 0) -> str:
        command = [sys.executable, "-m", "esmtools.study.cpu", *map(str, arguments)]
        done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def additions(self, command: str, *arguments: object) -> list[dict[str, Any]]:
        """The calls of `esmscale study add` by COMMAND, which a stand-in for the program notes."""
        calls, program = self.folder / "calls", self.folder / "esmscale"
        program.write_text(
            f"#!/bin/sh\nfor word in \"$@\"; do printf '%s\\t' \"$word\"; done >>{calls}\necho >>{calls}\necho '{{}}'\n"
        )
        program.chmod(0o755)
        self.said = self.run_helper(command, program, self.study, *arguments)
        found = []
        for line in calls.read_text().splitlines():
            words = line.strip().split("\t")
            self.assertEqual(words[:3], ["study", "add", str(self.study)])
            one: dict[str, Any] = {
                word: words[i + 1] for i, word in enumerate(words) if word.startswith("--") and word != "--json"
            }
            one["set"] = dict(words[i + 1].split("=") for i, word in enumerate(words) if word == "--set")
            found.append(one)
        return found

    def test_arms_are_the_two_schedules_at_two_sizes_with_two_seeds(self) -> None:
        calls = self.additions("add-arms")
        self.assertEqual([call["--base"] for call in calls], ["c2_2_s1", "c2_3_s1"])
        self.assertEqual([call["--name"] for call in calls], ["decay_1x2x2", "decay_1x3x2"])
        for call in calls:
            self.assertEqual(call["--vary"], "schedule.name=exponential,constant")
            self.assertEqual(call["--seeds"], "2")

    def test_branches_leave_their_trunk_at_four_fifths(self) -> None:
        calls = self.additions("add-branches")
        self.assertEqual(len(calls), 12)
        seen = set()
        for call in calls:
            name, values = call["--name"], call["set"]
            parent = call.get("--branch-from")
            self.assertTrue(parent is None or parent in seen)
            self.assertEqual(parent is None, "own" in name or "trunk-third" in name)
            share = 1 / 3 if "third" in name else 1
            tokens = 0.8 * 6000 * share if "trunk" in name else 6000 * share
            self.assertEqual(int(values["train.max_tokens"]), round(tokens))
            self.assertEqual("branch" in name, values["schedule.name"] == "wsd")
            self.assertEqual(values["train.seed"], name[-1])
            seen.add(name)

    def test_what_is_there_is_not_added_again(self) -> None:
        plan = json.loads((self.study / "study.json").read_text())
        plan["runs"].append({"name": "decay_1x2x2_schedule.name-constant_s1", "stage": "arm"})
        (self.study / "study.json").write_text(json.dumps(plan))
        self.assertEqual([call["--name"] for call in self.additions("add-arms")], ["decay_1x3x2"])

    def test_groups_are_links_to_the_runs_of_all_seeds(self) -> None:
        groups = self.folder / "groups"
        self.run_helper("link-groups", self.study, groups)
        write_run(self.study / "runs" / "branch-third-s2", 2.5)
        self.assertTrue((groups / "third" / "branch" / "s2" / "config.json").exists())
        self.assertEqual(len(list(groups.glob("*/*/*"))), 8)

    def test_without_an_optimum_the_frontier_predicts(self) -> None:
        best = self.study / "runs" / "c2_3_s1"
        (best / "metrics.jsonl").write_text('{"step": 1, "tokens": 6000, "eval/loss": 2.4, "finished": true}\n')
        (self.study / "configs").mkdir()
        (self.study / "configs" / "c2_3_s1.json").write_text(
            json.dumps({"train": {"epochs": 2}, "schedule": {"warmup_tokens": 300}})
        )
        laws = self.folder / "laws.json"
        # Draws from 1.5 + (8/8)^0.5 = 2.5 to 1.5 + (72/8)^0.5 = 4.5, evenly.
        power, draws = {"Cc": 32.0, "alpha_C": 0.5}, [[math.log(8 * (1 + i / 20) ** 2), 0.5, 1.5] for i in range(41)]
        laws.write_text(
            json.dumps(
                {
                    "kaplan": {
                        "L_C": {
                            "better": "undecided",
                            "points": 4,
                            "pure": power,
                            "irreducible": {**power, "L_inf": 1.5, "draws": draws},
                        }
                    }
                }
            )
        )
        [call] = self.additions("predict-by-frontier", laws, 8)
        said = json.loads(self.said)
        self.assertAlmostEqual(said["optimum"]["loss"]["value"], 1.5 + math.sqrt(32 / 8))
        for found, expected in zip(said["optimum"]["loss"]["interval_80"], (2.7, 4.3), strict=True):
            self.assertAlmostEqual(found, expected)
        self.assertEqual(said["shape"]["name"], "1x3x2")
        self.assertEqual((call["--base"], call["--name"]), ("c2_3_s1", "next"))
        settings = {key: float(value) for key, value in call["set"].items()}
        self.assertEqual(  # four times the budget
            settings,
            {"train.max_tokens": 24000, "train.epochs": 8, "schedule.warmup_tokens": 1200, "study.budget": 8},
        )

    def test_a_prediction_is_compared_or_said_to_be_none(self) -> None:
        write_run(self.folder / "next", 2.45)
        plan: dict[str, Any] = {
            "flops": 1e14,
            "shape": {"name": "1x2x2", "nats_lost": 0.001},
            "optimum": {"loss": {"value": 2.44, "interval": [2.4, 2.5]}},
        }
        prediction, outcome = self.folder / "prediction.json", self.folder / "outcome.json"
        prediction.write_text(json.dumps(plan))
        self.run_helper("compare-prediction", self.folder / "next", prediction, outcome)
        self.assertAlmostEqual(json.loads(outcome.read_text())["difference"], 2.45 - 2.441)
        plan["optimum"]["loss"]["value"] = None
        prediction.write_text(json.dumps(plan))
        self.assertIn(
            "predicts no loss",
            self.run_helper("compare-prediction", self.folder / "next", prediction, outcome, status=1),
        )


if __name__ == "__main__":
    unittest.main()
