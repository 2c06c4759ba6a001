"""scripts/esmtools and scripts/lib/common.sh on small inputs. Oracle: results worked out by hand."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from esmtools import commands, json_value, results, test_summary, tidy
from esmtools.study import cpu

ROOT = Path(__file__).parents[2]


def run_program(*arguments: str) -> str:
    """A program with the sub-commands `add` and `greet-all`."""

    def add(a: int, b: int, *, times: int) -> None:
        print((a + b) * times)

    def greet_all(*names: str) -> None:
        print("hello", *names)

    output = io.StringIO()
    with mock.patch.object(sys, "argv", ["program", *arguments]), contextlib.redirect_stdout(output):
        commands.run_commands(None, add, greet_all)
    return output.getvalue()


class Commands(unittest.TestCase):
    def test_parameters_are_arguments(self) -> None:
        self.assertEqual(run_program("add", "1", "2", "--times", "3"), "9\n")
        self.assertEqual(run_program("greet-all", "a", "b"), "hello a b\n")

    def test_wrong_use_is_refused(self) -> None:
        for wrong in ([], ["subtract"], ["add", "1", "2"], ["add", "1", "x", "--times", "3"]):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as stopped:
                run_program(*wrong)
            self.assertEqual(stopped.exception.code, 2)


class Results(unittest.TestCase):
    def test_a_line_that_was_cut_short_is_skipped_only_at_the_end(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            metrics = Path(folder) / "metrics.jsonl"
            self.assertEqual(results.read_metrics(metrics), [])
            metrics.write_text('{"step": 1}\n{"st')
            self.assertEqual(results.read_metrics(metrics), [{"step": 1}])
            metrics.write_text('{"st\n{"step": 1}\n')
            with self.assertRaisesRegex(SystemExit, "metrics.jsonl:1"):
                results.read_metrics(metrics)

    def test_a_run_has_ended_when_its_line_and_its_checkpoint_are_there(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run, last = Path(folder), {"step": 20, "finished": True}
            self.assertFalse(results.has_ended(run, []))
            self.assertFalse(results.has_ended(run, [last, {"step": 30}]))
            self.assertTrue(results.has_ended(run, [last]), "a copy without checkpoints")
            (run / "lock").touch()
            self.assertFalse(results.has_ended(run, [last]))
            (run / "metrics.jsonl").write_text(json.dumps(last) + "\n")
            with self.assertRaisesRegex(SystemExit, "with its checkpoint, found step 20"):
                cpu.final_record(run)
            for step, ended in ((10, False), (20, True)):
                checkpoint = run / "checkpoints" / f"step-{step:08}"
                checkpoint.mkdir(parents=True)
                self.assertFalse(results.has_ended(run, [last]), "no checkpoint.json yet")
                (checkpoint / "checkpoint.json").touch()
                self.assertEqual(results.has_ended(run, [last]), ended)

    def test_values_have_paths(self) -> None:
        content = {"jobs": ["7", "8"], "done": 4}
        for key, expected in (("jobs.0", "7"), ("jobs.#", 2), ("done", 4)):
            self.assertEqual(json_value.value_at(content, key), expected)

    def test_units(self) -> None:
        self.assertEqual(
            [results.human_seconds(s) for s in (119, 120, 7200)], ["119 seconds", "2.0 minutes", "2.0 hours"]
        )
        self.assertEqual([results.human_count(n) for n in (999, 8.4e6, 3e9)], ["999", "8.4M", "3G"])


SUITE = """[ RUN      ] Gpu.Adds
a_test.cpp:3: Skipped
this machine has no GPU
[  SKIPPED ] Gpu.Adds (0 ms)
[ RUN      ] Gpu.IsOptional
[       OK ] Gpu.IsOptional (1 ms)
[ RUN      ] Gpu.Disk
a_test.cpp:9: Skipped
no /dev/full
[  SKIPPED ] Gpu.Disk (0 ms)
[  PASSED  ] 1 test.
[  SKIPPED ] 2 tests, listed below:
[  SKIPPED ] Gpu.Adds
[  SKIPPED ] Gpu.Disk
"""


class TestSummary(unittest.TestCase):
    def count(self, status: str, output: str, more: str = "") -> test_summary.Counts:
        text = f'<testcase name="a" status="{status}">{more}<system-out>{output}</system-out></testcase>'
        return test_summary.count_test(ElementTree.fromstring(text))

    def test_cases_of_a_suite_count(self) -> None:
        self.assertEqual(self.count("run", SUITE), test_summary.Counts(passed=1, skipped=2, without_gpu=1))
        failed = "[  FAILED  ] A.B (2 ms)\n[       OK ] A.C (1 ms)\n[  FAILED  ] 1 test, listed below:\n"
        self.assertEqual(self.count("fail", failed), test_summary.Counts(passed=1, failed=1))

    def test_a_crash_is_a_failure(self) -> None:
        crashed = "[       OK ] A.B (1 ms)\n[ RUN      ] A.C\n"
        self.assertEqual(self.count("fail", crashed), test_summary.Counts(passed=1, failed=1))

    def test_other_tests_count_once(self) -> None:
        self.assertEqual(self.count("run", "OK"), test_summary.Counts(passed=1))
        self.assertEqual(self.count("fail", ""), test_summary.Counts(failed=1))
        self.assertEqual(self.count("notrun", "", "<skipped/>"), test_summary.Counts(skipped=1))
        self.assertEqual(self.count("notrun", ""), test_summary.Counts(failed=1))  # its program is not built


class Tidy(unittest.TestCase):
    def test_rooms_without_libtorch(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            plan = Path(folder) / "Rooms.cmake"
            plan.write_text(
                "esmscale_room(core)\nesmscale_room(model TORCH USES core)\nesmscale_room(data USES core\n  X)\n"
            )
            self.assertEqual(tidy.rooms_without_torch(plan), ["core", "data"])

    def test_clang_gets_a_command_that_it_knows(self) -> None:
        command = '/usr/bin/cmake -E env A=1 ccache /usr/bin/g++ -DX=\\"y\\" -fpch-preprocess -O3 -o a.o -c a.cpp'
        self.assertEqual(tidy.command_for_clang(command), "/usr/bin/g++ '-DX=\"y\"' -O3 -o a.o -c a.cpp")


class TakeArguments(unittest.TestCase):
    def take(self, words: str, *arguments: str, status: int = 0) -> str:
        script = (
            f'. "{ROOT}/scripts/lib/common.sh"; size=1 keep_all="" input="" output=""\n'
            f'take_arguments "size" "keep-all" "{words}" "$@"\n'
            'echo "$size,$keep_all,$input,$output,${rest[*]}"\n'
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "script.sh"
            file.write_text(f"#!/bin/bash\n# Does nothing.\n\n{script}")
            done = subprocess.run(["bash", file, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def test_arguments_set_variables(self) -> None:
        said = self.take("input output", "a b", "--size", "2", "c", "--keep-all", "--", "-s", "7")
        self.assertEqual(said, "2,yes,a b,c,-s 7\n")
        self.assertEqual(self.take("…", "--size", "2", "--else", "x", "y"), "2,,,,--else x y\n")
        self.assertEqual(self.take("", "--help"), "Does nothing.\n")

    def test_wrong_use_is_refused(self) -> None:
        for wrong in (["--size"], ["--other"], ["a", "b"], ["-x"]):
            self.assertIn("--help", self.take("input", *wrong, status=1))


class SkippedPicture(unittest.TestCase):
    def test_without_matplotlib_the_picture_is_named(self) -> None:
        report = {
            "sequences": 2,
            "without_neighbour": 1,
            "histogram": [[0.0, 1]],
            "identity_limit": 0.5,
            "coverage": 0.8,
        }
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "matplotlib.py").write_text("raise ModuleNotFoundError('matplotlib')\n")
            file, picture = Path(folder) / "report.json", Path(folder) / "picture.svg"
            file.write_text(json.dumps({"holdout": report, "holdout_random": report}))
            done = subprocess.run(
                [sys.executable, "-m", "esmtools.plots.identity", file, picture],
                env={"PYTHONPATH": f"{folder}:{ROOT / 'scripts'}"},
                capture_output=True,
                text=True,
            )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"skipped: {picture}", done.stderr)


if __name__ == "__main__":
    unittest.main()
