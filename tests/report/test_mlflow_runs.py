"""A run's results in MLflow: one run a setting, once, whatever the store."""

import pytest

from decoct.core.errors import DecoctError, UsageError
from decoct.report.mlflow_runs import TAG, log

pytestmark = pytest.mark.filterwarnings("default")  # of libraries below


@pytest.fixture(scope="module")
def mlflow():
    found = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    return found


def test_every_setting_is_a_run_and_is_logged_once(mlflow, builder, tmp_path):
    builder.protocols, builder.budgets, builder.full = ("erm",), ("ipc=1",), True
    folder, uri = builder.build(), f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert log(folder, uri) == {"logged": 6, "there": 0}  # five methods and the full data
    assert log(folder, uri) == {"logged": 0, "there": 6}
    client = mlflow.MlflowClient(tracking_uri=uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "digits"]
    (run,) = client.search_runs([experiment.experiment_id], "params.method = 'rded'")
    assert run.data.params["budget"] == "ipc=1" and run.data.params["method.factor"] == "1"
    assert run.data.metrics["n"] == 5 and TAG in run.data.tags and run.info.status == "FINISHED"
    history = client.get_metric_history(run.info.run_id, "accuracy")
    assert sorted(point.step for point in history) == [0, 1, 2, 3, 4]
    mean = sum(point.value for point in history) / 5
    assert run.data.metrics["accuracy_mean"] == pytest.approx(mean)


def test_what_is_no_run_or_no_store_is_told(mlflow, run, tmp_path):
    with pytest.raises(DecoctError, match="not a run"):
        log(tmp_path, f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(UsageError, match="cannot log to nowhere://x"):
        log(run, "nowhere://x")
