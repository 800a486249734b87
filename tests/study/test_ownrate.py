"""A learnt rate decides how a student trains, named or the caller's own, where the protocol asks; and it is in keys."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.hub_folder import write_parquet
from decoct.core.interfaces import Machine, Task
from decoct.core.record import Provenance, read_json
from decoct.data.external.read import load_set
from decoct.protocols.dc import DC
from decoct.study.execute import execute
from decoct.study.external_sets import put_external
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.work.students import RESULT, train_module


@pytest.fixture
def plain(digits):
    """Two images of each class."""
    rows = np.concatenate([np.flatnonzero(digits.train.labels == c)[:2] for c in range(10)])
    images, labels = np.asarray(digits.train.images[rows]), digits.train.labels[rows]
    return Condensed(labels, digits.class_names, Provenance(method="m"), images=images)


def test_the_protocol_is_told_of_the_rate(plain, digits):
    learnt = replace(plain, rate=0.25)
    assert [Task.of(digits, made, False).rate for made in (plain, learnt, None)] == [None, 0.25, None]


def test_a_named_student_trains_at_it(plain, digits, tmp_path):
    store, learnt = Store(tmp_path), replace(plain, rate=0.25)

    def result(made, protocol):
        planner = Planner(digits)
        job = planner.train((protocol.name, protocol), "convnet1_w8", put_external(made, digits, store))
        for each in planner.jobs.values():
            execute(store.root, each)
        return read_json(store.path("train", job.key) / RESULT)

    own, usual, fast = DC(steps=8, own_rate=True), DC(steps=8), DC(steps=8, lr=0.25)
    assert result(learnt, own)["loss"] == result(plain, fast)["loss"]
    slow = {result(made, how)["loss"] for made, how in ((learnt, usual), (plain, own), (plain, usual))}
    assert len(slow) == 1 and result(learnt, own)["loss"] not in slow
    assert put_external(learnt, digits, store) != put_external(plain, digits, store)


def test_a_module_of_the_callers_own_trains_at_it(plain, digits):
    def accuracy(made, protocol):
        found, _ = train_module(made, digits, protocol, Net, [0], teachers=[], machine=Machine())
        return found[0]

    learnt = replace(plain, rate=0.25)
    own, usual, fast = DC(steps=8, own_rate=True), DC(steps=8), DC(steps=8, lr=0.25)
    assert accuracy(learnt, own) == accuracy(plain, fast) != accuracy(learnt, usual) == accuracy(plain, own)


def test_a_rate_goes_into_parquet_and_comes_back(plain, digits, tmp_path):
    write_parquet(tmp_path / "learnt.parquet", replace(plain, rate=0.1 + 0.2))
    write_parquet(tmp_path / "plain.parquet", plain)
    assert load_set(tmp_path / "learnt.parquet", digits).rate == 0.1 + 0.2
    assert load_set(tmp_path / "plain.parquet", digits).rate is None
    assert b'"rate"' not in (tmp_path / "plain.parquet").read_bytes()


class Net(nn.Module):
    """A linear net on pixels."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1))
