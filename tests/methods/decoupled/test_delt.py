"""DELT: when images join, that the others wait, and where they start."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.methods._shared.starts import Block
from decoct.methods.decoupled.delt import DELT, joining
from decoct.needs.teacher import Teacher


class Steps:
    """In the place of the work: an image gains 1 at each iteration that it takes part in."""

    def __init__(self, ipc, ids):
        self.inputs, self.blocks = SimpleNamespace(ipc=lambda method: ipc), [Block((0,) * len(ids), ids)]

    def stage(self, images, first, last, since):
        for t in range(first, last):
            images = images + (since <= t)[:, None, None, None]
        return images


def iterations_of(method, ipc, ids):
    work = Steps(ipc, ids)
    made = method.at(8).optimise(work, torch.zeros(1, len(ids), 1, 2, 2))
    return made[0, :, 0, 0, 0].tolist(), work


@pytest.mark.parametrize(
    ("ipc", "groups"),
    [
        (5, [1, 1, 1, 1, 1, 0, 0, 0]),
        (10, [2, 2, 1, 1, 1, 1, 1, 1]),
        (16, [2] * 8),
        (50, [7, 7, 6, 6, 6, 6, 6, 6]),
    ],
)
def test_groups_are_the_authors_cumulative_split(ipc, groups):
    joins = [joining(i, ipc, 8) for i in range(ipc)]
    assert joins == sorted(joins) and [joins.count(g) for g in range(8)] == groups


def test_the_first_group_is_optimised_throughout_and_the_last_in_the_last_round():
    assert iterations_of(DELT(iterations=10, rounds=4), 4, (0, 1, 2, 3))[0] == [10, 8, 5, 3]
    assert iterations_of(DELT(), 10, range(10))[0] == [1000, 1000, 875, 875, 750, 625, 500, 375, 250, 125]


def test_one_image_a_class_has_one_round():
    assert iterations_of(DELT(iterations=10), 1, (0, 0))[0] == [10, 10]


def test_a_block_of_late_images_has_a_cosine_and_crops_of_what_is_left():
    made, work = iterations_of(DELT(iterations=80), 16, (8, 9, 10, 11))
    assert made == [40, 40, 30, 30] and work.spec.iterations == 40
    assert work.spec.low(torch.tensor([0, 20])).tolist() == pytest.approx([1, 0.75])


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box, method = toy(), DELT(iterations=8, rounds=2, r=0.2, block=4)
    norm, labels = box.teacher[1], torch.tensor([0, 0, 1, 1])

    def loss(seen, t, active):
        logits, found = layer_moments(box.teacher, seen, nn.BatchNorm2d)
        r = apart(found, [(norm.running_mean, norm.running_var)])
        return F.cross_entropy(logits, labels[active]) + 0.2 * r

    draft = method(box.inputs(2))
    expected = rewrite(
        box,
        method.at(8),
        box.normalised(draft.initial[:4]),
        loss,
        name=(0, 0),
        since=[0, 4, 0, 4],
    )
    assert np.abs(draft.images[:4].astype(int) - expected).max() <= 1


def test_images_that_wait_stay_as_they_are(toy):
    """A block of late images alone takes part in the late rounds alone."""
    box = toy()
    draft = DELT(iterations=8, rounds=2, block=2)(box.inputs(4))
    assert draft.steps == 3 * (8 + 4)  # of three classes: images 0 and 1 throughout, 2 and 3 in the last round


def test_starts_go_outwards_from_the_median_of_the_teachers_confidence(toy):
    box = toy(per_class=9)
    draft = DELT(iterations=1)(box.inputs(5))
    with torch.no_grad():
        confidence = box.teacher(box.normalised(box.data.train.images)).double().softmax(1)
    for c in range(3):
        rows = np.flatnonzero(box.data.train.labels == c)
        unsure_first = rows[confidence[rows, c].argsort()]
        expected = unsure_first[[5, 6, 4, 7, 3]]  # of nine, the authors begin at number ⌈9/2⌉
        assert (draft.initial[5 * c : 5 * c + 5] == box.data.train.images[expected]).all()


def test_a_class_of_few_images_starts_some_twice(toy):
    draft = DELT(iterations=1)(toy(per_class=3).inputs(3))
    assert len(np.unique(draft.initial.reshape(9, -1), axis=0)) == 9


def test_the_crops_follow_the_curriculum():
    spec = DELT().at(224)
    assert spec.low(torch.tensor([0, 2000, 3999])).tolist() == pytest.approx([1, 0.54, 0.08], abs=1e-5)


def test_presets_are_the_authors():
    spec = DELT().at(224)
    assert (spec.lr, spec.iterations, spec.rounds, spec.r) == (0.25, 4000, 8, 0.01)
    assert (spec.jitter, spec.scale, spec.block) == (0, (0.08, 1.0), 100)
    assert spec.together(50) == 2  # as many classes as fit a block


def test_it_needs_its_net_and_a_ranker():
    assert DELT(nets=("a",), ranker="b").needs() == (Teacher(net="a"), Teacher(net="b"))
    assert DELT().needs() == (Teacher(net="teacher"),)
