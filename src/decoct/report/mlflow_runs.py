"""A run's results as MLflow runs: one for each method, budget, protocol and student."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import digest
from decoct.report.accuracy import Accuracy, by_setting, replicates
from decoct.report.read import frame
from decoct.report.read.manifest import FULL, Manifest
from decoct.report.summary import summarise

TAG = "decoct.setting"  # marks a setting that was logged before
LONGEST = 500  # characters of a parameter that every version of MLflow accepts


def log(folder: Path, uri: str) -> dict[str, int]:
    """Log a run's results; results logged before with the same numbers are not logged again.

    Args:
        folder: what ``decoct run`` made.
        uri: of the tracking store, such as ``sqlite:///mlflow.db`` or ``http://HOST:5000``.

    Returns:
        how many were ``logged`` and how many were ``there``.

    Raises:
        DecoctError: not a run, no MLflow, or a store that cannot be written.
    """
    tables = frame.read(folder)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise DecoctError("--to mlflow needs MLflow: pip install 'decoct[mlflow]'") from None
    counts = {"logged": 0, "there": 0}
    try:
        client = MlflowClient(tracking_uri=uri)
        known = client.get_experiment_by_name(tables.manifest.name)
        experiment = known.experiment_id if known else client.create_experiment(tables.manifest.name)
        for accuracy in summarise(tables).accuracies:
            counts[_log(client, experiment, tables, accuracy)] += 1
    except (MlflowException, OSError, ImportError) as error:
        why = " ".join(str(error).split())[:200]
        raise UsageError(f"cannot log to {uri}: {why}") from error
    return counts


def _log(client: Any, experiment: str, tables: frame.Frame, a: Accuracy) -> str:
    params, metrics = _params(tables.manifest, a), dict(_metrics(a))
    runs = list(_replicates(tables, a))
    identity = digest([params, metrics, runs])
    if client.search_runs([experiment], f"tags.`{TAG}` = '{identity}'", max_results=1):
        return "there"
    name = " · ".join((a.method, *a.setting))
    made = client.create_run(experiment, tags={TAG: identity, "decoct.version": tables.manifest.decoct}, run_name=name)
    for key, value in params.items():
        client.log_param(made.info.run_id, key, value)
    for key, number in metrics.items():
        client.log_metric(made.info.run_id, key, number)
    for step, number in runs:
        client.log_metric(made.info.run_id, "accuracy", number, step=step)
    client.set_terminated(made.info.run_id)
    return "logged"


def _params(run: Manifest, a: Accuracy) -> dict[str, str]:
    config = {} if a.method == FULL else run.methods[a.method]["config"]
    fields = {f"method.{key}": value for key, value in config.items() if value is not None}
    said = {"data": run.data["name"], "data_digest": run.data["digest"], "method": a.method, **a.setting._asdict()}
    return {key: str(value)[:LONGEST] for key, value in {**said, **fields}.items()}


def _metrics(a: Accuracy) -> Iterator[tuple[str, float]]:
    interval = a.interval
    known = {"accuracy_mean": interval.mean, "ci95_low": interval.lo, "ci95_high": interval.hi, "n": interval.n}
    known |= {"steps": a.steps, "images_seen": a.images_seen, "images": math.nan if a.images is None else a.images}
    return ((key, float(value)) for key, value in known.items() if math.isfinite(value))


def _replicates(tables: frame.Frame, a: Accuracy) -> Iterator[tuple[int, float]]:
    """The accuracy of each student, numbered in the order of its replicates."""
    own = replicates(by_setting(tables.results.to_pylist())[a.method, a.setting])
    return ((step, own[key]) for step, key in enumerate(sorted(own)))
