"""A set's own soft labels decide what a student learns, named or the caller's own, where the protocol asks."""

import numpy as np
import pytest
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.interfaces import Machine, Task
from decoct.core.record import Provenance, read_json
from decoct.protocols.dc import DC
from decoct.study.execute import execute
from decoct.study.external_sets import put_external
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.work.students import RESULT, train_module

HARD, OWN = DC(steps=40, lr=0.1), DC(steps=40, lr=0.1, own_labels=True)


@pytest.fixture
def sets(digits):
    """Two images of each class: hard labels alone; the same as probabilities; and probabilities of the next class."""
    rows = np.concatenate([np.flatnonzero(digits.train.labels == c)[:2] for c in range(10)])
    images, labels = np.asarray(digits.train.images[rows]), digits.train.labels[rows]

    def make(soft):
        return Condensed(labels, digits.class_names, Provenance(method="m"), images=images, soft_labels=soft)

    onehot = np.eye(10, dtype=np.float32)[labels]
    return make(None), make(onehot), make(np.roll(onehot, 1, axis=1))


def test_the_protocol_is_told_whether_there_are_some(sets, digits):
    hard, onehot, _ = sets
    assert [Task.of(digits, made, False).soft_labels for made in (hard, onehot, None)] == [False, True, False]


def test_a_named_student_learns_from_them(sets, digits, tmp_path):
    store = Store(tmp_path)

    def result(made, protocol):
        planner = Planner(digits)
        job = planner.train((protocol.name, protocol), "convnet1_w8", put_external(made, digits, store))
        for each in planner.jobs.values():
            execute(store.root, each)
        return read_json(store.path("train", job.key) / RESULT)

    hard, onehot, rolled = sets
    accuracy = {"hard": result(hard, OWN)["accuracy"], "onehot": result(onehot, OWN)["accuracy"]}
    assert accuracy["hard"] > 0.5 and accuracy["onehot"] == pytest.approx(accuracy["hard"], abs=0.02)
    assert result(rolled, OWN)["accuracy"] < 0.2  # it learnt that every digit is the next one
    assert result(rolled, HARD)["accuracy"] == result(hard, HARD)["accuracy"]  # not asked, they are not looked at
    assert result(rolled, OWN)["label_bytes"] == result(hard, OWN)["label_bytes"] + 20 * 10 * 4


def test_a_module_of_the_callers_own_learns_from_them(sets, digits):
    def accuracy(made, protocol):
        found, _ = train_module(made, digits, protocol, Net, [0], teachers=[], machine=Machine())
        return found[0]

    hard, _, rolled = sets
    assert accuracy(hard, OWN) > 0.5 > 0.2 > accuracy(rolled, OWN)
    assert accuracy(rolled, HARD) == accuracy(hard, HARD)


class Net(nn.Module):
    """A linear net on pixels."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1))
