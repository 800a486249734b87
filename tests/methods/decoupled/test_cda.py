"""CDA: the curriculum of its crops at the end points, and SRe2L in all else."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled.cda import CDA
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.teacher import Teacher


@pytest.mark.parametrize("milestone", [1.0, 0.5])
def test_the_least_share_falls_from_the_whole_image_along_half_a_cosine(milestone):
    spec, until = CDA(iterations=100, milestone=milestone).at(224), 100 * milestone
    low = spec.low(torch.arange(100)).double()
    assert low[0] == 1 and low[int(until) // 2] == pytest.approx(0.54)
    for t in range(100):
        share = 0.08 + 0.92 * (1 + math.cos(math.pi * t / until)) / 2 if t < until else 0.08
        assert low[t] == pytest.approx(share, abs=1e-6)


def test_the_first_crop_is_the_whole_image_and_later_ones_keep_the_share():
    spec = CDA(iterations=400).at(224)
    low = spec.low(torch.arange(400))
    rng = torch.Generator().manual_seed(0)
    views = Views.draw([rng], 400, 224, scale=spec.scale, low=low, flip=False, jitter=0, device="cpu")
    shares = views.boxes[:, 0, 2] * views.boxes[:, 0, 3] / 224**2
    assert views.boxes[0, 0].tolist() == [0, 0, 224, 224]
    assert (shares >= low - 0.01).all() and shares[300:].min() < 0.2


def test_a_block_is_the_loop_of_sre2l_with_these_crops(toy, rewrite, layer_moments, apart):
    box, spec = toy(channels=3, flip=True), CDA(iterations=8).at(8)
    norm = box.teacher[1]

    def loss(seen, t, active):
        logits, found = layer_moments(box.teacher, seen, nn.BatchNorm2d)
        return F.cross_entropy(logits, torch.arange(3)) + 0.01 * apart(found, [(norm.running_mean, norm.running_var)])

    expected = rewrite(box, spec, torch.zeros(3, 3, 8, 8), loss, name=(0, 0), noise=True)
    made = CDA(iterations=8)(box.inputs(1))
    assert np.abs(made.images.astype(int) - expected).max() <= 1
    assert (made.images != SRe2L(iterations=8, scale=(0.08, 1))(box.inputs(1)).images).any()


def test_presets_are_the_authors():
    def values(spec):
        return spec.lr, spec.iterations, spec.r, spec.scale, spec.block, spec.milestone

    assert values(CDA().at(224)) == (0.25, 4000, 0.01, (0.08, 1.0), 100, 1)
    assert values(CDA(preset="tiny").at(64)) == (0.4, 4000, 0.05, (0.08, 1.0), 100, 1)
    assert CDA().at(224).jitter == 32 and CDA(preset="tiny").at(64).jitter == 4 and CDA().at(28).iterations == 1000


def test_it_needs_its_nets():
    assert CDA(nets=("resnet18",)).needs() == (Teacher(net="resnet18"),)
