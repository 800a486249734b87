"""The loop over classes, splits and scopes, with a comparison that records what it was given."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Measured
from decoct.metrics import _measure as measure


def example(**changes):
    real = {"train": np.arange(6.0)[:, None], "val": np.arange(10.0, 14.0)[:, None]}
    labels = {"train": np.array([0, 1, 2, 0, 1, 2]), "val": np.array([2, 0, 2, 0])}
    facts = {"condensed": real["train"][:4], "labels": labels["train"][:4], "real": real, "real_labels": labels}
    facts |= {"class_names": ("a", "b", "c"), "member": True, "logits": np.zeros((4, 3))}
    return Measured(**(facts | changes))


def test_each_class_meets_its_own_real_images_and_only_train_has_members():
    calls = []

    def compare(real, condensed, population):
        calls.append((real[:, 0].tolist(), condensed[:, 0].tolist(), population))
        return {"size": float(len(real))}

    readings = measure.against_real(example(), compare)
    assert calls == [
        ([0, 3], [0, 3], 2),
        ([1, 4], [1], 2),
        ([2, 5], [2], 2),
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3], 6),
        ([11, 13], [0, 3], None),  # the second class has no validation images
        ([10, 12], [2], None),
        ([10, 11, 12, 13], [0, 1, 2, 3], None),
    ]
    assert [(r.scope, r.reference, r.value, r.classes) for r in readings] == [
        ("per_class", "train", 2, 3),
        ("pooled", "train", 6, None),
        ("per_class", "val", 2, 2),
        ("pooled", "val", 4, None),
    ]


def test_splits_and_scopes_can_be_left_out():
    constant = lambda real, condensed, population: {"one": 1.0}  # noqa: E731
    only = measure.against_real(example(), constant, splits=("val",), pooled=False)
    assert [(r.metric, r.scope, r.reference) for r in only] == [("one", "per_class", "val")]
    empty = example(real={"train": np.ones((6, 1)), "val": np.ones((0, 1))})
    assert {r.reference for r in measure.against_real(empty, constant)} == {"train"}


def test_a_class_that_the_set_lacks_has_what_is_said_of_it_and_nothing_else():
    lacking = example(labels=np.array([0, 1, 1, 0]))
    two = lambda real, condensed, population: {"near": 6.0, "far": 3.0}  # noqa: E731
    found = measure.against_real(lacking, two, splits=("train",), pooled=False, absent={"near": 0.0})
    assert {r.metric: (r.value, r.classes) for r in found} == {"near": (4.0, 3), "far": (3.0, 2)}


def test_of_many_real_images_the_same_are_drawn_for_every_set(monkeypatch):
    monkeypatch.setattr(measure, "MOST", 4)
    real, labels = np.arange(20.0)[:, None], np.repeat([0, 1], 10)
    calls = []

    def compare(near, condensed, population):
        calls.append((near[:, 0].tolist(), population))
        return {}

    for own in ([0, 1], [1, 0]):
        data = {"real": {"train": real}, "real_labels": {"train": labels}, "class_names": ("a", "b")}
        measure.against_real(example(condensed=real[:2], labels=np.array(own), **data), compare)
    first, second = calls[:3], calls[3:]
    assert first == second
    assert [len(near) for near, _ in first] == [4, 4, 4] and [p for _, p in first] == [10, 10, 20]
    assert max(first[0][0]) < 10 <= min(first[1][0])
    assert sum(x < 10 for x in first[2][0]) == 2  # classes keep their shares


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(1, 70))
def test_a_sample_is_of_rows_once_each_in_the_classes_shares(labels, most):
    labels = np.array(labels, dtype=np.int64)
    rows = measure.sample(labels, most)
    assert len(rows) == min(most, len(labels)) and (np.diff(rows) > 0).all()
    if len(labels) > most:
        shares = np.bincount(labels, minlength=5) * (most / len(labels))
        assert (abs(np.bincount(labels[rows], minlength=5) - shares) < 2).all()


def test_a_refused_input_is_an_error_that_names_the_split():
    def refuse(real, condensed, population):
        raise ValueError("features are wrong")

    with pytest.raises(DecoctError, match="train split: features are wrong"):
        measure.against_real(example(), refuse)


def test_the_mean_is_over_the_classes_where_a_value_is_defined():
    got = measure.mean_defined([{"a": 1.0, "b": math.nan}, {"a": math.nan, "b": math.nan}, {"a": 4.0, "b": math.nan}])
    assert got["a"] == 2.5 and math.isnan(got["b"])
    assert measure.mean_defined([]) == {}


@pytest.mark.parametrize("labels", [[], [0, 0], [2, 0, 2, 1, 0], [2]])
def test_rows_by_class(labels):
    labels = np.array(labels, dtype=np.int64)
    rows = measure.rows_by_class(labels, 3)
    assert [r.tolist() for r in rows] == [np.flatnonzero(labels == c).tolist() for c in range(3)]
