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

    def result(self, command: str) -> Any:
        output = self.folder / "result.json"
        self.run_helper(command, self.study, output)
        return json.loads(output.read_text())

    def write_all(self, command: str, losses: dict[str, float]) -> None:
        for line in self.run_helper(command, self.study).splitlines():
            run = Path(line.split()[1])
            write_run(run, next(loss for name, loss in losses.items() if name in run.name))

    def test_arms_are_the_two_schedules_at_two_sizes_with_two_seeds(self) -> None:
        lines = self.run_helper("list-arms", self.study).splitlines()
        self.assertEqual(len(lines), 6)  # the decaying runs of seed 1 are main runs
        self.assertTrue(all(str(self.study / "configs") in line and " - " in line for line in lines))
        self.write_all(
            "list-arms", {"exponential": 2.52, "constant_1x2x2_s1": 2.56, "constant_1x2x2_s2": 2.60, "constant": 2.5}
        )
        result = self.result("compare-arms")
        # Second size: 2.5 − 2.56 and 2.52 − 2.60, so −0.07 ± 0.01; third: 0 and 0.02, so 0.01 ± 0.01.
        self.assertAlmostEqual(result["sizes"][0]["difference"], -0.07)
        self.assertAlmostEqual(result["sizes"][0]["error"], 0.01)
        self.assertAlmostEqual(result["difference"], -0.03)
        self.assertAlmostEqual(result["error"], 0.01 / math.sqrt(2))

    def test_branches_leave_their_trunk_at_four_fifths(self) -> None:
        self.write_all("list-arms", {"": 2.5})
        lines = [line.split() for line in self.run_helper("list-branches", self.study).splitlines()]
        self.assertEqual(len(lines), 10)
        seen = set()
        for _, run, parent, *settings in lines:
            values = dict(setting.split("=") for setting in settings)
            self.assertTrue(parent == "-" or parent in seen)
            share = 1 / 3 if "third" in run else 1
            if "trunk" in run:
                self.assertEqual(int(values["train.max_tokens"]), round(0.8 * 6000 * share))
            else:
                self.assertEqual(int(values["train.max_tokens"]), round(6000 * share))
            self.assertEqual("branch_" in run, values["schedule.name"] == "wsd")
            seen.add(run)
        self.write_all("list-branches", {"branch": 2.47, "own": 2.48, "trunk": 2.6})
        result = self.result("compare-branches")
        self.assertAlmostEqual(result["horizons"][0]["difference"], -0.01)
        self.assertAlmostEqual(result["horizons"][1]["difference"], -0.03)

    def test_a_run_that_has_not_finished_is_named(self) -> None:
        self.write_all("list-arms", {"": 2.5})
        broken = self.study / "arms" / "constant_1x2x2_s1" / "metrics.jsonl"
        broken.write_text('{"step": 3}\n')
        self.assertIn("constant_1x2x2_s1", self.run_helper("compare-arms", self.study, self.folder / "x", status=1))

    def test_kept_metrics_are_few_and_have_no_paths(self) -> None:
        write_run(self.study / "runs" / "long", 2.4, lines=5000)
        self.run_helper("keep-metrics", self.study, self.folder / "kept")
        kept = self.folder / "kept" / "runs" / "long"
        lines = [json.loads(line) for line in (kept / "metrics.jsonl").read_text().splitlines()]
        late = [line["train/loss"] for line in lines if line["tokens"] >= 0.95 * 5e6 and "train/loss" in line]
        self.assertEqual(len(late), 251)  # every line of the last twentieth, so that a fit's mean stays what it was
        self.assertLess(len(lines), 251 + 70)
        self.assertEqual(lines[-1]["eval/loss"], 2.4)
        self.assertEqual(lines[-1]["eval/checkpoint"], "step-7")
        self.assertNotIn("time", lines[0])
        self.assertNotIn("/home", "".join(path.read_text() for path in kept.iterdir()))
        self.assertEqual(json.loads((kept / "environment.json").read_text())[-1]["data"]["train"], "abc")

    def test_without_an_optimum_the_frontier_predicts(self) -> None:
        best = self.study / "runs" / "c2_3_s1"
        (best / "metrics.jsonl").write_text('{"step": 1, "tokens": 6000, "eval/loss": 2.4, "finished": true}\n')
        plan = json.loads((self.study / "study.json").read_text())
        for run in plan["runs"]:
            run["lr"] = 0.003
        (self.study / "study.json").write_text(json.dumps(plan))
        (self.study / "configs").mkdir()
        (self.study / "configs" / "3.json").write_text(
            json.dumps(
                {"train": {"epochs": 2}, "schedule": {"warmup_tokens": 300}, "optimizer": {"lr": 0.006}, "study": {}}
            )
        )
        laws, config = self.folder / "laws.json", self.folder / "next" / "next.json"
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
        said = json.loads(self.run_helper("predict-by-frontier", self.study, laws, 8, config))
        self.assertAlmostEqual(said["optimum"]["loss"]["value"], 1.5 + math.sqrt(32 / 8))
        for found, expected in zip(said["optimum"]["loss"]["interval_80"], (2.7, 4.3), strict=True):
            self.assertAlmostEqual(found, expected)
        self.assertEqual(said["shape"]["name"], "1x3x2")
        written = json.loads(config.read_text())
        self.assertEqual(written["train"], {"max_tokens": 24000, "epochs": 8})  # four times the budget
        self.assertEqual(written["schedule"]["warmup_tokens"], 1200)
        self.assertEqual(written["optimizer"]["lr"], 0.003)  # the plan's, which the sweep's factor multiplies

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
