"""Students of a run trained once more, with the statistics of their set and with those of real images."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from decoct import load_data
from decoct.report.read.manifest import Manifest
from decoct.report.stats.intervals import t_interval
from decoct.study.run import run
from decoct.study.study import Study

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import batch_norm

STUDY = """
name = "small"
data = "digits"
students = ["convnet1_bn_w8", "convnet1_w8"]
budgets = [{ipc = 1}, {ipc = 2}]
replicates = {condense = 2}
ceiling = false
condensers = ["random", {name = "dm", net = "convnet2_w8", iterations = 3, batch = 8, lr = 500}]
metrics = {names = []}
[[teachers]]
net = "convnet1_w8"
epochs = 1
[[protocols]]
name = "erm"
steps = 6
[[protocols]]
name = "single_teacher"
teacher = "convnet1_w8"
steps = 3
"""


def test_students_with_batch_norm_and_hard_labels_are_those_of_the_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "small.toml").write_text(STUDY)
    folder, out = tmp_path / "small", tmp_path / "out"
    assert not run(Study.from_toml(tmp_path / "small.toml"), folder, workers=1)
    for words, error in ([str(folder), "--budget", "ipc=3"], "no student"), ([], "2"):
        monkeypatch.setattr(sys, "argv", ["batch_norm", *words, "--out", str(out)])
        with pytest.raises(SystemExit, match=error):
            batch_norm.main()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["batch_norm", str(folder), "--images", "700", "--out", str(out)])
    batch_norm.main()
    said = capsys.readouterr().out
    with (out / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["set"]) for row in rows] == [(m, r) for m in ("random", "dm") for r in "01"]
    assert {(row["budget"], row["protocol"], row["student"]) for row in rows} == {("ipc=1", "erm", "convnet1_bn_w8")}

    manifest = Manifest.read(folder)
    for row in rows:
        labels = {name: row[name] for name in ("method", "budget", "protocol", "student")}
        labels |= {"condense_replicate": int(row["set"])}
        (job,) = (job for job in manifest.finished("train") if labels.items() <= job.labels.items())
        assert float(row["own"]) == 100 * json.loads((manifest.cell(job) / "result.json").read_text())["accuracy"]
    apart = [float(row["real"]) - float(row["own"]) for row in rows if row["method"] == "dm"]
    assert any(apart)
    assert "| convnet1_bn_w8 | dm | " in said and batch_norm.said(t_interval(apart), "+") in said
    monkeypatch.setattr(sys, "argv", ["batch_norm", "--table", str(out / "rows.csv")])
    batch_norm.main()
    assert capsys.readouterr().out == said


def test_real_images_are_seen_under_the_normalisation_of_the_data():
    """All of them: statistics taken anew are their mean and spread, up to rounding, whatever there was before."""
    data = load_data("digits")
    net = nn.BatchNorm2d(1, affine=False)
    real = batch_norm.some(data, len(data.train))
    torch.optim.swa_utils.update_bn(real.split(len(real)), net)
    assert net.running_mean.item() == pytest.approx(0, abs=1e-5)
    assert net.running_var.item() == pytest.approx(1, rel=1e-3)
    few = batch_norm.some(data, 5)
    assert few.shape == (5, *data.shape) and np.isin(few.numpy(), real.numpy()).all()
