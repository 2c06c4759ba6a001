"""scripts/import_runs.py on made run folders. Oracles: the lines of metrics.jsonl, and the libraries' own readers
where they are installed (mlflow with sqlalchemy; wandb up to 0.19, whose reader of offline runs is in Python)."""

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import types
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import import_runs
from esmtools import tracked_run

LINES: list[dict[str, Any]] = [
    {"step": 10, "time": 1000.5, "tokens": 100, "train/loss": 3.0, "train/mfu": None},
    {"step": 20, "time": 1001.5, "tokens": 200, "train/loss": 2.75, "train/mfu": 0.25},
    {"step": 20, "time": 1002.0, "eval/loss": 2.8, "finished": True, "eval/holdout": "ab"},
]
CONFIG = {"train": {"seed": 7, "precision": "fp32"}, "optimizer": {"betas": [0.9, 0.98]}, "log": None}


def has(*modules: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return all(importlib.util.find_spec(module) for module in modules)
    return False


class ImportRuns(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.run_folder = self.folder / "8M"
        self.run_folder.mkdir()
        (self.run_folder / "config.json").write_text(json.dumps(CONFIG))
        (self.run_folder / "environment.json").write_text('[{"host": "old"}, {"host": "new", "cores": 2}]')
        self.write(LINES)

    def write(self, lines: list[dict[str, Any]]) -> None:
        (self.run_folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def run_silently(self, command: Any, **options: str) -> str:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            command(self.run_folder, **options)
        return output.getvalue()

    def test_a_run_is_settings_and_numbers_by_step(self) -> None:
        run = tracked_run.read_run(self.run_folder)
        expected = {"train.seed": 7, "train.precision": "fp32", "optimizer.betas": "[0.9, 0.98]"}
        self.assertEqual(run.settings, expected | {"environment.host": "new", "environment.cores": 2})
        self.assertEqual([step.step for step in run.steps], [10, 20])
        self.assertEqual(run.steps[0].metrics, {"tokens": 100, "train/loss": 3.0})
        self.assertEqual(run.steps[1].metrics, {"tokens": 200, "train/loss": 2.75, "train/mfu": 0.25, "eval/loss": 2.8})
        self.assertTrue(run.is_finished)
        self.assertEqual(run.id, tracked_run.read_run(self.run_folder).id)
        (self.run_folder / "lock").touch()
        self.assertFalse(tracked_run.read_run(self.run_folder).is_finished, "its checkpoint is not there")
        with self.assertRaisesRegex(SystemExit, "expected a run folder"):
            tracked_run.read_run(self.folder)

    def test_a_later_import_adds_the_steps_since(self) -> None:
        logged: list[tuple[int, dict[str, float]]] = []

        def log(metrics: dict[str, float], step: int) -> None:
            logged.append((step, metrics))

        for begin, added in ((0, [10, 20]), (11, [20]), (21, [])):
            made = types.SimpleNamespace(starting_step=begin, log=log, finish=lambda: None)
            module = types.SimpleNamespace(init=mock.Mock(return_value=made))
            logged.clear()
            with mock.patch.dict(sys.modules, {"wandb": module}):
                self.run_silently(import_runs.wandb, project="p")
            self.assertEqual([step for step, _ in logged], added)
            self.assertEqual(module.init.call_args.kwargs["config"]["train.seed"], 7)
            self.assertEqual(module.init.call_args.kwargs["resume"], "allow")
        with mock.patch.dict(sys.modules, {"wandb": None}), self.assertRaisesRegex(SystemExit, "pip install wandb"):
            import_runs.wandb(self.run_folder, project="p")

    @unittest.skipUnless(has("mlflow", "sqlalchemy", "alembic"), "mlflow with sqlalchemy is not installed")
    def test_mlflow_reads_what_was_imported(self) -> None:
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{self.folder}/mlflow.db"
        with mock.patch.dict(os.environ, {"MLFLOW_TRACKING_URI": uri}):
            self.write(LINES[:1])
            self.assertIn("1 of 1", self.run_silently(import_runs.mlflow, experiment="e"))
            self.write(LINES)
            self.assertIn("1 of 2", self.run_silently(import_runs.mlflow, experiment="e"))
            client = MlflowClient()
            (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
            history = client.get_metric_history(run.info.run_id, "train/loss")
        self.assertEqual([(m.step, m.value, m.timestamp) for m in history], [(10, 3.0, 1000500), (20, 2.75, 1001500)])
        self.assertEqual(run.data.metrics["eval/loss"], 2.8)
        self.assertEqual(run.data.params["train.precision"], "fp32")
        self.assertEqual(run.info.status, "FINISHED")

    @unittest.skipUnless(has("wandb.sdk.internal.datastore"), "wandb with a reader in Python is not installed")
    def test_wandb_reads_what_was_imported(self) -> None:
        import wandb
        from wandb.proto import wandb_internal_pb2
        from wandb.sdk.internal.datastore import DataStore

        settings = {"WANDB_MODE": "offline", "WANDB_DIR": str(self.folder), "WANDB_SILENT": "true"}
        with mock.patch.dict(os.environ, settings):
            self.run_silently(import_runs.wandb, project="p")
            wandb.teardown()  # its process has written all, as at the end of a program
        (file,) = self.folder.glob("wandb/offline-run-*/*.wandb")
        store = DataStore()
        store.open_for_scan(str(file))
        history = []
        while (record := store.scan_data()) is not None:
            parsed = wandb_internal_pb2.Record()
            parsed.ParseFromString(record)
            if parsed.WhichOneof("record_type") == "history":
                items = parsed.history.item
                history.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
        self.assertEqual([(line["_step"], line["train/loss"]) for line in history], [(10, 3.0), (20, 2.75)])
        self.assertEqual([line["_timestamp"] for line in history], [1000.5, 1001.5])
        self.assertEqual(history[1]["eval/loss"], 2.8)


if __name__ == "__main__":
    unittest.main()
