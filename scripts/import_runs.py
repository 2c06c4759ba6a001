#!/usr/bin/env python3
"""Copies run folders of esmscale into Weights & Biases or MLflow; a later import adds the steps since the last one."""

from pathlib import Path

from esmtools.commands import run_commands
from esmtools.results import fail
from esmtools.tracked_run import TrackedRun, read_run

MOST_METRICS, MOST_PARAMETERS, LONGEST_PARAMETER = 1000, 100, 500  # of one request to an MLflow server


def note(run: TrackedRun, added: int, where: str) -> None:
    print(f"{run.folder}: {added} of {len(run.steps)} steps added to {where}")


def wandb(*runs: Path, project: str) -> None:
    """Copy RUNS into the Weights & Biases project; WANDB_MODE=offline writes below WANDB_DIR for `wandb sync`."""
    try:
        import wandb
    except ImportError:
        fail("wandb is not installed: pip install wandb")
    for run in map(read_run, runs):
        tracked = wandb.init(project=project, name=run.name, id=run.id, resume="allow", config=run.settings)
        begin = tracked.starting_step  # 0, or the step after the last one that the server has
        new = [step for step in run.steps if step.step >= begin]
        for step in new:
            when = {"_timestamp": step.time, "_runtime": step.time - run.steps[0].time}
            tracked.log(step.metrics | when, step=step.step)
        tracked.finish()
        note(run, len(new), f"project {project}, run {run.id}")


def mlflow(*runs: Path, experiment: str) -> None:
    """Copy RUNS into the MLflow experiment at MLFLOW_TRACKING_URI."""
    try:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient
    except ImportError:
        fail("mlflow is not installed: pip install mlflow (or mlflow-skinny)")
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    place = found.experiment_id if found else client.create_experiment(experiment)
    for run in map(read_run, runs):
        earlier = client.search_runs([place], f"tags.esmscale_id = '{run.id}'")
        tracked = earlier[0] if earlier else client.create_run(place, run_name=run.name, tags={"esmscale_id": run.id})
        number = tracked.info.run_id
        last = int(tracked.data.metrics.get("step", -1))
        if not earlier:
            parameters = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in run.settings.items()]
            for i in range(0, len(parameters), MOST_PARAMETERS):
                client.log_batch(number, params=parameters[i : i + MOST_PARAMETERS])
        new = [step for step in run.steps if step.step > last]
        metrics = [
            Metric(key, value, int(1000 * step.time), step.step)
            for step in new
            for key, value in (step.metrics | {"step": float(step.step)}).items()
        ]
        for i in range(0, len(metrics), MOST_METRICS):
            client.log_batch(number, metrics=metrics[i : i + MOST_METRICS])
        client.set_terminated(number, "FINISHED" if run.is_finished else "KILLED")
        note(run, len(new), f"experiment {experiment}, run {number}")


if __name__ == "__main__":
    run_commands(__doc__, wandb, mlflow)
