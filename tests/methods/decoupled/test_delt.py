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
    """In the place of the work: a stage adds 1 to the images that take part, and is written down."""

    def __init__(self, ipc, ids):
        self.inputs, self.blocks, self.seen = SimpleNamespace(ipc=lambda method: ipc), [Block((0,) * len(ids), ids)], []

    def stage(self, images, first, last, active):
        self.seen.append((first, last, active.nonzero().flatten().tolist()))
        return images + active[:, None, None, None]


def test_eight_groups_join_at_eight_rounds():
    assert [joining(i, 16, 8) for i in range(16)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    joins = [joining(i, 50, 8) for i in range(50)]
    assert joins == sorted(joins) and {joins.count(g) for g in range(8)} == {6, 7}
    assert [joining(i, 3, 8) for i in range(3)] == [0, 2, 5]


def test_the_first_group_is_optimised_throughout_and_the_last_in_the_last_round():
    work = Steps(4, (0, 1, 2, 3))
    rounds = DELT(iterations=10, rounds=4).at(8).optimise(work, torch.zeros(1, 4, 1, 2, 2))
    assert rounds[0, :, 0, 0, 0].tolist() == [4, 3, 2, 1]
    assert work.seen == [(0, 2, [0]), (2, 5, [0, 1]), (5, 7, [0, 1, 2]), (7, 10, [0, 1, 2, 3])]


def test_one_image_a_class_has_one_round():
    work = Steps(1, (0, 0))
    DELT(iterations=10).at(8).optimise(work, torch.zeros(1, 2, 1, 2, 2))
    assert work.seen == [(0, 10, [0, 1])]


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box, method = toy(), DELT(iterations=8, rounds=2, r=0.2, block=4)
    norm, labels = box.teacher[1], torch.tensor([0, 0, 1, 1])

    def loss(seen, t, active):
        logits, found = layer_moments(box.teacher, seen, nn.BatchNorm2d)
        r = apart(found, [(norm.running_mean, norm.running_var)])
        return F.cross_entropy(logits, labels[active]) + 0.2 * r

    draft = method(box.inputs(2))
    early = torch.tensor([True, False, True, False])
    expected = rewrite(
        box,
        method.at(8),
        box.normalised(draft.initial[:4]),
        loss,
        name=(0, 0),
        stages=[(0, 4, early), (4, 8, None)],
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
        hard_first = rows[confidence[rows, c].argsort(descending=True)]
        expected = hard_first[[4, 5, 3, 6, 2]]
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
