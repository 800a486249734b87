"""Label issues: what confident learning removes, by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shrinking.pictures import pool_of

from decoct.core.errors import DecoctError
from decoct.methods.coresets.confident import issues, margins
from decoct.shrinking.faults.label_issues import label_issues


def pool(tmp_path, labels, classes, **more):
    images = np.zeros((len(labels), 1, 4, 4))
    return pool_of(tmp_path, images, labels, class_names=[f"class {c}" for c in range(classes)], **more)


def test_swapped_labels_are_found_and_the_true_ones_suggested(tmp_path):
    true = np.arange(60) % 3
    given_labels = true.copy()
    given_labels[[3, 10, 20]] = [1, 2, 0]
    said = np.full((60, 3), 0.05, np.float32)
    said[np.arange(60), true] = 0.9
    said[10] = [0.0, 1.0, 0.0]
    found = label_issues(pool(tmp_path, given_labels, 3), np.arange(60), said)
    assert [(each.rows, each.labels, each.detail) for each in found] == [
        ((10,), ("class 2",), "suggested: class 1"),
        ((3,), ("class 1",), "suggested: class 0"),
        ((20,), ("class 0",), "suggested: class 2"),
    ]
    assert [each.score for each in found] == pytest.approx([1, 0.85, 0.85])
    assert found[0].kind == "label_issue" and found[0].paths == ("0010.png",)


@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(10, 60))
def test_they_are_those_that_the_method_removes_but_for_likeliest_labels(tmp_path_factory, seed, classes, n):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), 2), rng.integers(0, classes, n)])
    said = rng.dirichlet(np.ones(classes), len(labels)).astype(np.float32)
    rows = rng.permutation(len(labels))
    found = label_issues(pool(tmp_path_factory.mktemp("pool"), labels, classes), rows, said)
    removed = rows[issues(said, labels[rows], "noise_rate") & (margins(said, labels[rows]) < 0)]
    assert sorted(each.rows[0] for each in found) == sorted(removed.tolist())
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        own = said[rows.tolist().index(each.rows[0])].copy()
        own[labels[each.rows[0]]] = -1
        assert each.detail == f"suggested: class {own.argmax()}"


def test_a_class_that_no_model_saw_is_neither_judged_nor_suggested(tmp_path):
    """Class 2 has one image, class 3 two that are one group, class 4 none."""
    labels = np.array([0] * 10 + [1] * 10 + [2, 3, 3])
    said = np.full((23, 5), 0.1, np.float32)
    said[np.arange(20), labels[:20]] = 0.5
    said[5] = [0, 0.5, 0.9, 0.8, 0.7]  # of the classes that are known, 1
    groups = np.arange(23)
    groups[22] = 21
    found = label_issues(pool(tmp_path, labels, 5, groups=groups), np.arange(23), said)
    assert [(each.rows, each.detail) for each in found] == [((5,), "suggested: class 1")]


@pytest.mark.parametrize("labels", [[0] * 8, [0] * 8 + [1]])
def test_one_class_has_no_issues(tmp_path, labels):
    said = np.full((len(labels), 2), 0.5, np.float32)
    assert label_issues(pool(tmp_path, labels, 2), np.arange(len(labels)), said) == ()


def test_probabilities_that_are_none_are_refused(tmp_path):
    images = pool(tmp_path, [0, 0, 1, 1], 2)
    said = np.full((4, 2), 0.5, np.float32)
    said[2, 1] = np.nan
    with pytest.raises(DecoctError, match="no finite probabilities for 1 of 4"):
        label_issues(images, np.arange(4), said)
    with pytest.raises(DecoctError, match=r"need probabilities \[4, 2\]"):
        label_issues(images, np.arange(4), said[:, :1])
