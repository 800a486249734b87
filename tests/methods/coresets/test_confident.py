"""Confident learning against its paper, written out, and on planted wrong labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.budget import Budget
from decoct.methods.coresets.confident import Confident, issues, joint, margins
from decoct.needs.out_of_sample import OutOfSample


def drawn(seed, n=300, classes=4, noise=0.2, sure=2.0):
    """Probabilities of a net that mostly knows, labels of which some are wrong, and which are."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=n)
    labels = np.where(rng.random(n) < noise, (true + 1 + rng.integers(classes - 1, size=n)) % classes, true)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), true] += sure
    return (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32), labels, labels != true


def naive_joint(p, labels):
    classes = p.shape[1]
    threshold = [p[labels == j, j].mean(dtype=float) for j in range(classes)]
    counts = np.zeros((classes, classes))
    for row, label in zip(p, labels, strict=True):
        sure = [j for j in range(classes) if row[j] >= threshold[j] - 1e-6]
        if sure:
            counts[label, max(sure, key=lambda j: row[j])] += 1
    for i in range(classes):
        counts[i] *= (labels == i).sum() / counts[i].sum()
    return counts


def naive_issues(p, labels, by):
    numbers, found = naive_joint(p, labels), set()
    for i in range(p.shape[1]):
        rows = np.flatnonzero(labels == i).tolist()
        if by == "class":
            found |= set(sorted(rows, key=lambda r: p[r, i])[: round(len(rows) - numbers[i, i])])
            continue
        for j in set(range(p.shape[1])) - {i}:
            found |= set(sorted(rows, key=lambda r: p[r, i] - p[r, j])[: round(numbers[i, j])])
    return found


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6))
def test_the_estimate_and_who_goes_are_the_papers(seed, classes):
    p, labels, _ = drawn(seed, classes=classes)
    assert joint(p, labels) == pytest.approx(naive_joint(p, labels))
    of = {by: set(np.flatnonzero(issues(p, labels, by)).tolist()) for by in ("noise_rate", "class", "both")}
    for by in ("noise_rate", "class"):
        assert of[by] == naive_issues(p, labels, by)
    assert of["both"] == of["noise_rate"] & of["class"]


def test_a_row_adds_up_to_the_images_of_its_label():
    p, labels, _ = drawn(0)
    assert joint(p, labels).sum(1) == pytest.approx(np.bincount(labels))


def test_a_net_that_is_always_right_gives_the_noise_itself():
    _, labels, _ = drawn(1)
    true = np.random.default_rng(2).integers(4, size=len(labels))
    counts = np.zeros((4, 4))
    np.add.at(counts, (labels, true), 1)
    p = np.where(np.eye(4)[true] > 0, 0.97, 0.01).astype(np.float32)
    assert joint(p, labels) == pytest.approx(counts)
    assert (issues(p, labels, "noise_rate") == (labels != true)).all()


def test_a_label_that_nobody_has_or_is_sure_of():
    p = np.array([[0.4, 0.3, 0.3], [0.8, 0.1, 0.1], [0.2, 0.5, 0.3]], np.float32)
    numbers = joint(p, np.array([0, 0, 1]))
    assert numbers.tolist() == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]  # image 0 is under the threshold of .6
    alone = joint(np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2]], np.float32), np.array([0, 1, 1]))
    assert alone.tolist() == [[1, 0], [0, 2]]  # .8 of the last is under the .9 of label 0


def test_margins():
    p = np.array([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4]], np.float32)
    assert margins(p, np.array([0, 2])) == pytest.approx([0.5, -0.1])


def test_images_that_the_paper_removes_go_first_each_by_its_margin(toy):
    box = toy()
    p, _, _ = drawn(3, n=120, classes=3)
    labels = box.data.train.labels
    inputs = replace(box.inputs(1), others={OutOfSample(): p}, budget=Budget(images=120))
    draft = Confident()(inputs)
    found, margin = issues(p, labels, "noise_rate"), margins(p, labels)
    assert 10 < found.sum() < 110 and draft.notes == {"issues": found.sum()}
    order = sorted(range(120), key=lambda i: (found[i], -margin[i], i))
    assert draft.indices.tolist() == order
    for n in (119, 60, 3):
        assert Confident()(replace(inputs, budget=Budget(images=n))).indices.tolist() == order[:n]
    own = Confident(pooled=False)(replace(inputs, budget=Budget(ipc=7))).indices.reshape(3, 7)
    for c, row in enumerate(own):
        assert row.tolist() == [i for i in order if labels[i] == c][:7]


@pytest.mark.parametrize("by", ["noise_rate", "class", "both"])
def test_planted_wrong_labels_are_what_goes(by, toy):
    box = toy(per_class=200, classes=4)
    p, labels, wrong = drawn(5, n=800, sure=4.0, noise=0.1)
    box.data.train.labels[:] = labels
    inputs = replace(box.inputs(1), others={OutOfSample(): p}, budget=Budget(images=800 - int(wrong.sum())))
    gone = np.setdiff1d(np.arange(800), Confident(by=by)(inputs).indices)
    assert wrong[gone].mean() > 0.9  # a tenth at random


def test_its_need_follows_its_fields():
    assert Confident(net="resnet18", epochs=3, folds=4).needs() == (OutOfSample(net="resnet18", epochs=3, folds=4),)
    assert Confident().together(10) is Confident(pooled=False).together(10) is None
