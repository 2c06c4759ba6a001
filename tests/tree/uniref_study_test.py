"""The studies that scripts/uniref lays out and runs, tiny: uniref_study_test.py ESMSCALE [unittest's arguments]"""

import json
import random
import sys
import unittest
from pathlib import Path
from typing import Any

from uniref_fixture import Scripts, copy_of, fasta, names_in, protein

SCHEDULES = ("exponential", "constant")
CONFIG = {
    "model": {"name": "tiny", "layers": 1, "width": 16, "heads": 2},
    "data": {"max_seq_len": 64},
    "train": {"batch_tokens": 256, "pack_tokens": 128},
    "optimizer": {"lr": 1e-3},
    "schedule": {"name": "exponential", "warmup_tokens": 100},
}


class Studies(Scripts):
    def setUp(self) -> None:
        super().setUp()
        source = random.Random(3)
        self.proteins = [(f"p{i}", protein(source, 60)) for i in range(60)]
        self.copies = [(f"c{i}", copy_of(self.proteins[i][1], 0.1, source)) for i in range(20)]
        self.config = self.folder / "tiny.json"
        self.config.write_text(json.dumps(CONFIG))

    def prepare(self, folder: Path, records: list[tuple[str, str]], *more: object) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        text = folder.parent / f"{folder.name}.fasta"
        text.write_text(fasta(records))
        self.esmscale("prepare", "--input", text, "--keep-order", "--output", folder, "--eval-length", 50, *more)


class Paper(Studies):
    """Two models, dear one first, one sample, two schedules."""

    def setUp(self) -> None:
        super().setUp()
        self.prepare(self.folder / "train", self.proteins)
        known = {sequence for _, sequence in self.proteins}  # a dry run refuses a holdout that shares a sequence
        self.prepare(self.folder / "holdout", [copy for copy in self.copies if copy[1] not in known])
        self.plan = self.folder / "plan.json"
        self.plan.write_text(
            "// two models\n"
            + json.dumps(
                {
                    "name": "two",
                    "models": [
                        {"name": "big", "config": "esm2_8M.json", "gpus": 4},
                        {"name": "small", "config": str(self.config), "gpus": 1},
                    ],
                    "samples": [30],
                    "schedules": ["exponential", "constant"],
                }
            )
        )
        self.output = self.folder / "study"

    def lay_out(self, *more: object, **how: Any) -> str:
        return self.run_script(
            "paper_study.sh",
            "--data",
            self.folder / "train",
            "--holdout",
            self.folder / "holdout",
            "--plan",
            self.plan,
            "--output",
            self.output,
            *more,
            **how,
        )

    def test_runs_are_laid_out_and_submitted_the_cheap_model_first(self) -> None:
        self.assertIn("61", self.lay_out("--samples", "61", status=1))  # of 60
        self.assertFalse((self.output / "study.json").exists())
        sbatch = self.programs_with("sbatch", f'echo "$@" >>{self.folder}/submitted; wc -l <{self.folder}/submitted')
        said = self.lay_out("--submit", path=sbatch)
        self.check_configurations()
        self.check_submission()
        self.assertIn("| small | 30 | 2 |", said)
        self.assertIn("holds a study already", self.lay_out(status=1))

    def check_configurations(self) -> None:
        runs = [f"{model}_schedule.name-{schedule}_s1" for model in ("small", "big") for schedule in SCHEDULES]
        configs = {name: json.loads((self.output / "configs" / f"{name}.json").read_text()) for name in runs}
        self.assertEqual(configs[runs[1]]["data"]["sequences"], 30)
        self.assertEqual(configs[runs[1]]["schedule"]["name"], "constant")
        self.assertEqual(configs[runs[1]]["study"]["name"], "two")
        self.assertEqual(configs[runs[2]]["model"]["layers"], 6)
        status = json.loads(self.esmscale("study", "status", self.output, "--json"))["runs"]
        self.assertEqual([run["name"] for run in status], runs)
        self.assertEqual({(run["state"], run["stage"]) for run in status}, {("waiting", "main")})
        self.assertEqual(status[0]["tokens"], 30 * 62)  # 30 sequences of 60 residues, START and END: one epoch

    def check_submission(self) -> None:
        small, big = (self.folder / "submitted").read_text().splitlines()
        self.assertIn(f"--chdir={self.output} --array=0,1 ", small)
        self.assertIn("--gpus-per-node=1 ", small)
        self.assertIn("--array=2,3 ", big)
        self.assertIn("--ntasks-per-node=4 ", big)
        configs = (self.output / "configs.txt").read_text().split()
        self.assertEqual([name.split("_")[0] for name in configs], ["configs/small"] * 2 + ["configs/big"] * 2)
        for name in [*configs, "array.sbatch", "train.sbatch"]:
            self.assertTrue((self.output / name).exists(), name)


class Diversity(Studies):
    """Levels as levels.sh and holdout.sh leave them: each a part of the one above, candidates apart."""

    def setUp(self) -> None:
        super().setUp()
        self.levels = self.folder / "levels"
        top = self.levels / "level50"
        self.prepare(top / "train", self.proteins)
        training_hash = json.loads(self.esmscale("info", top / "train", "--json"))["hash"]
        for name, records, split in (
            ("holdout", self.copies[:10], "far"),
            ("holdout_random", self.copies[5:15], "random"),
        ):
            self.prepare(top / name, records)
            report = self.folder / "report.json"
            report.write_text(json.dumps({"training_hash": training_hash, "largest_identity": 0.4, "split": split}))
            self.esmscale("prepare", "--output", top / name, "--attach-report", report)
        (top / "drawn.txt").write_text("".join(f"{name}\n" for name, _ in self.copies))
        (top / "representatives.fasta").write_text(fasta(self.proteins + self.copies))
        for level, count in ((40, 40), (30, 30), (20, 20)):
            (self.levels / f"level{level}").mkdir()
            # One candidate in each: it must not be trained on.
            (self.levels / f"level{level}/representatives.fasta").write_text(
                fasta(self.proteins[:count] + self.copies[:1])
            )

    def test_levels_and_samples_of_the_same_size_side_by_side(self) -> None:
        results = self.folder / "results"
        arguments = (
            "--levels",
            self.levels,
            "--tokens",
            2000,
            "--config",
            self.config,
            "--output",
            self.folder / "runs",
            "--results",
            results,
        )
        said = self.run_script("diversity.sh", *arguments)
        rows = {row["set"]: row for row in json.loads((results / "results.json").read_text())}
        self.assertEqual(list(rows), ["level50", "level40", "sample40", "level30", "sample30", "level20", "sample20"])
        for kind in ("level", "sample"):
            self.assertEqual([rows[f"{kind}{level}"]["sequences"] for level in (40, 30, 20)], [40, 30, 20])
        for row in rows.values():  # whole batches, so the end is one batch away at most
            self.assertLess(abs(row["tokens"] - 2000), 256)
        trained = names_in(self.esmscale("fasta", self.levels / "level20/train"))
        self.assertEqual(sorted(trained), sorted(name for name, _ in self.proteins[:20]))
        for row in rows.values():
            self.assertIn("checked: largest identity to the training set 0.4", row["holdout"]["label"])
            self.assertGreater(row["holdout"]["loss"], 0)
        difference = rows["level40"]["holdout_random"]["loss"] - rows["sample40"]["holdout_random"]["loss"]
        # The same doubles, summed in another order.
        self.assertAlmostEqual(rows["level40"]["level_minus_sample"]["holdout_random"]["loss"], difference, places=9)
        self.assertIn("| sample20 |", said)
        before = (self.folder / "runs/level50_s1/metrics.jsonl").read_bytes()
        self.run_script("diversity.sh", *arguments)
        self.assertEqual((self.folder / "runs/level50_s1/metrics.jsonl").read_bytes(), before)

    def test_levels_are_parts_of_what_the_holdout_was_checked_against(self) -> None:
        arguments = (
            "--levels",
            self.levels,
            "--tokens",
            2000,
            "--config",
            self.config,
            "--output",
            self.folder / "runs",
            "--results",
            self.folder / "results",
        )
        # Other candidates than those that the 40% level was prepared without.
        self.prepare(self.levels / "level40/train", self.proteins[:41])
        self.run_script("diversity.sh", *arguments)
        self.assertEqual(self.info(self.levels / "level40/train")["sequences"], 40)
        more = self.levels / "level50/representatives.fasta"
        more.write_text(more.read_text() + ">one_more\nMKV\n")
        self.assertIn("drawn for the holdout", self.run_script("diversity.sh", *arguments, status=1))


if __name__ == "__main__":
    Scripts.program = sys.argv.pop(1)
    unittest.main()
