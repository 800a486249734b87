"""A probe of a study: scikit-learn's logistic regression on a frozen net's features, once for all seeds."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Machine, Task
from decoct.core.record import read_json
from decoct.core.spec import parse
from decoct.data.dataset import load_data
from decoct.methods.coresets.random import Random
from decoct.needs.teacher import training_set
from decoct.nets import zoo
from decoct.nets.backbone import load
from decoct.study.contract import check
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.work.students import start
from decoct.training.probe import fit_head


def test_it_keeps_the_contract() -> None:
    assert [finding for finding in check("probe") if not finding.ok] == []


def test_its_accuracy_is_that_of_scikit_learn_on_the_nets_features(tmp_path: Path) -> None:
    file, store, digits = tmp_path / "weights.safetensors", Store(tmp_path / "store"), load_data("digits")
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=1).state_dict()), file)
    store.root.mkdir()
    planner, probe = Planner(digits), parse("protocol", {"name": "probe", "size": 32})
    made = planner.condense("random", Random(), Budget(ipc=8), 0)
    jobs = [planner.train(("probe", probe), f"test_resnet@{file}", made, 0, again) for again in (0, 1)]
    for job in planner.jobs.values():
        execute(store.root, job)
    first, second = (read_json(store.path("train", job.key) / "result.json") for job in jobs)
    assert first == second

    net, _ = load("test_resnet", file, 32)
    picked = Condensed.load(store.path("condense", made.key)).materialise(digits.train.images)

    def features(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net(torch.from_numpy(np.array(images)).float() / 255).numpy().astype(np.float64)

    scale = StandardScaler().fit(features(picked.pixels()))
    model = LogisticRegression(C=10 / scale.n_features_in_, tol=1e-8, max_iter=10_000)
    model.fit(scale.transform(features(picked.pixels())), picked.labels)
    expected = model.score(scale.transform(features(digits.test.images)), digits.test.labels)
    assert first["accuracy"] == pytest.approx(expected, abs=0.006)  # two of 360 images are as good as undecided


def test_all_but_the_head_stays_as_it_is(tmp_path: Path) -> None:
    file, digits = tmp_path / "weights.safetensors", load_data("digits")
    save_file(dict(zoo.build("test_resnet", 3, 7, 32, seed=1).state_dict()), file)
    probe = parse("protocol", {"name": "probe", "size": 16})
    net = start(probe, f"test_resnet@{file}", digits, seed=0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    data = training_set(digits)
    done = fit_head(net, data, probe.recipe(Task.of(digits)), Machine())
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.rpartition("fc.")[2] for name in moved} == {"weight", "bias"}
    assert done.steps > 0 and done.images_seen == done.steps * len(digits.train)
    assert not net.training
