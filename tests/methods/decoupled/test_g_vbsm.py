"""G-VBSM: averaged statistics of batch norms and convolutions, one net an iteration, and flattened spectra."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.core.seeds import seed as seeded
from decoct.data.pixels import Pixels
from decoct.methods.decoupled.g_vbsm import GVBSM, densify
from decoct.needs.statistics import LayerStatistics, collect
from decoct.needs.teacher import Teacher

KINDS = nn.Conv2d | nn.BatchNorm2d


def targets(box, net, layer_moments):
    """Of the train split, but for what batch norms have stored."""
    with torch.no_grad():
        found = layer_moments(net, box.normalised(box.data.train.images), KINDS)[1]
    found[1] = [net[1].running_mean, net[1].running_var]
    return found


def spectrum(images, tau):
    """KL(softmax(λ/τ) ‖ softmax(λ)) by its definition."""
    flat = images.flatten(1)
    values = torch.linalg.eigvalsh(torch.einsum("if,jf->ij", flat, flat))
    p, q = (values.detach() / tau).softmax(0), values.softmax(0)
    return (p * (p.log() - q.log())).sum()


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box = toy(others=("other",))
    nets = [box.teacher, box.others["other"]]
    for net in nets:
        net[1].running_mean.uniform_(-0.2, 0.2, generator=torch.Generator().manual_seed(3))
    method = GVBSM(iterations=14, nets=("teacher", "other"), lr=0.2, r=0.5, densification=1e-3)
    assert (method.at(8).pad, method.at(8).jitter, method.at(8).drop, method.at(8).decay) == (1, 1, 0.4, 0.8)
    spec, labels, averages = method.at(8), torch.tensor([0, 0, 1, 1, 2, 2]), {}
    wanted, dropped = [targets(box, net, layer_moments) for net in nets], []

    def loss(seen, t, active):
        net = t % 2
        logits, found = layer_moments(nets[net], seen, KINDS)
        averaged = []
        rng = torch.Generator().manual_seed(seeded(5, "g_vbsm", 0, 0, "drop", t))
        left_out = torch.rand(1, generator=rng).item() < 0.4  # the one convolution, which comes first
        dropped.append(left_out)
        for layer, parts in enumerate(found):
            averaged.append([])
            for i, s in enumerate(parts):
                if left_out and layer == 0:
                    averaged[-1].append(wanted[net][0][i])  # at no distance, and its average waits
                    continue
                before = averages.get((net, layer, i), s.detach())
                averages[net, layer, i] = now = 0.8 * before + 0.2 * s.detach()
                averaged[-1].append(now + s - s.detach())
        flat = sum(spectrum(seen[labels == c], 4.0) for c in range(3))
        return F.cross_entropy(logits, labels) + 0.5 * apart(averaged, wanted[net]) + 1e-3 * flat

    expected = rewrite(box, spec, torch.zeros(6, 1, 8, 8), loss, name=(0, 0), noise=True)
    assert set(dropped) == {True, False}
    made = method(box.supplied(method, 2))
    assert np.abs(made.images.astype(int) - expected).max() <= 1


def test_convolutions_count_and_so_does_the_spectrum(toy):
    box = toy()
    full, flat = (GVBSM(iterations=5, nets=("teacher",), densification=d) for d in (1.0, 0.0))
    made, without = (m(box.supplied(m, 2)) for m in (full, flat))
    assert (made.images != without.images).any()
    assert made.notes["densification_first"] > 0 and without.notes["densification_first"] == 0


def test_a_flat_spectrum_costs_nothing_and_likeness_does():
    orthogonal = torch.eye(4).reshape(4, 1, 2, 2)
    assert densify(orthogonal, 4.0).item() == pytest.approx(0, abs=1e-6)
    assert densify(orthogonal[:1], 4.0).item() == 0
    # Two images with Gram [[1, 1], [1, 1]]: λ = 0, 2.
    alike = torch.zeros(2, 1, 2, 2)
    alike[:, 0, 0, 0] = 1
    p, q = torch.tensor([0.0, 0.5]).softmax(0), torch.tensor([0.0, 2.0]).softmax(0)
    assert densify(alike, 4.0).item() == pytest.approx((p * (p / q).log()).sum().item(), rel=1e-5)


def test_the_target_of_densification_is_held_fixed():
    """∂/∂λ KL(p ‖ softmax λ) = softmax λ − p; were p to move along, its own gradient would be added."""
    images = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 3
    images.requires_grad_()
    (found,) = torch.autograd.grad(densify(images, 4.0), images)
    flat = images.flatten(1)
    values = torch.linalg.eigvalsh(flat @ flat.T)
    apart = (values.softmax(0) - (values / 4).softmax(0)).detach()
    (expected,) = torch.autograd.grad((apart * values).sum(), images)
    torch.testing.assert_close(found, expected)


def test_large_images_are_pooled_to_32_pixels_first():
    images = torch.randn(3, 1, 64, 64, generator=torch.Generator().manual_seed(0)) / 10
    pooled = images.unflatten(3, (32, 2)).unflatten(2, (32, 2)).mean((3, 5))
    assert densify(images, 4.0).item() == pytest.approx(spectrum(pooled, 4.0).item(), rel=1e-4)


def test_patch_statistics_of_a_tensor_by_hand(toy, layer_moments):
    box = toy(per_class=2)
    box.data.train.images[:] = 127
    box.data.train.images[0] = 255
    found = collect(box.teacher, box.data.train, box.data.class_names, Pixels.of(box.data, "cpu")).whole["0"]
    low, high = (127 / 255 - 0.5) / 0.25, 2.0
    mean = (5 * low + high) / 6
    variance = (5 * (low - mean) ** 2 + (high - mean) ** 2) / 6
    for part, value in ((found.patch_mean, mean), (found.patch_variance, variance)):
        assert part.tolist() == pytest.approx([value], rel=1e-5)


def test_images_of_a_class_share_a_block(toy):
    blocks = GVBSM(block=4).at(8).blocks(range(3), 2)
    assert [(b.classes, b.ids) for b in blocks] == [((0, 0, 1, 1), (0, 1, 0, 1)), ((2, 2), (0, 1))]


def test_a_few_images_of_a_class_at_a_time_are_rounds_over_all_classes():
    """As the authors' Tiny-ImageNet script: ten images of each of five classes in a process of 50."""
    few = GVBSM(preset="tiny").at(64)
    blocks = few.blocks(range(200), 100)
    assert [b.classes for b in blocks[:2]] == [tuple(np.repeat(range(5), 10)), tuple(np.repeat(range(5, 10), 10))]
    assert blocks[40].classes == blocks[0].classes and blocks[40].ids == tuple(range(10, 20)) * 5
    assert len(blocks) == 400 and few.together(100) == 5
    uneven = GVBSM(block=6, at_once=3).at(32).blocks(range(3), 4)
    assert [(b.classes, b.ids) for b in uneven] == [
        ((0, 0, 0, 1, 1, 1), (0, 1, 2, 0, 1, 2)),
        ((2, 2, 2), (0, 1, 2)),
        ((0, 1), (3, 3)),
        ((2,), (3,)),
    ]


@pytest.mark.parametrize("ipc", [1, 7, 10, 60])
@pytest.mark.parametrize("at_once", [None, 1, 4, 10])
def test_every_image_is_in_one_block(ipc, at_once):
    blocks = GVBSM(block=12, at_once=at_once).at(32).blocks(range(5), ipc)
    found = [pair for b in blocks for pair in zip(b.classes, b.ids, strict=True)]
    assert sorted(found) == [(c, i) for c in range(5) for i in range(ipc)]
    assert max(map(len, blocks)) <= 12
    most = max(b.classes.count(c) for b in blocks for c in b.classes)
    assert most <= min(at_once or 12, 12)


def test_presets_are_the_authors():
    def values(name, size):
        spec = GVBSM(preset=name).at(size)
        assert (spec.r, spec.jitter, spec.tau, spec.densification, spec.iterations) == (0.01, 32, 4.0, 1.0, 4000)
        return spec.lr, spec.block, spec.decay, spec.drop, spec.tile, spec.pad

    assert values(None, 224) == values("imagenet1k", 224) == (0.1, 40, 0.4, 0.0, 16, 0)
    assert GVBSM().at(224).scale == (0.08, 1.0)
    assert values(None, 32) == values("cifar10", 32) == (0.05, 100, 0.8, 0.4, 4, 4)
    assert values("cifar100", 32) == (0.05, 50, 0.8, 0.4, 4, 4)
    assert values("tiny", 64) == (0.05, 50, 0.8, 0.4, 4, 8)
    authors = ("resnet18.tv_in1k", "mobilenet_v2.tv_in1k", "efficientnet_b0.ra_in1k", "shufflenet_v2_x0_5.tv_in1k")
    assert GVBSM().at(224).nets == authors


def test_it_needs_its_nets_and_their_statistics():
    both = GVBSM(nets=("resnet18", "alexnet")).at(32).needs()
    assert both == (
        *(Teacher(net="resnet18"), Teacher(net="alexnet")),
        *(LayerStatistics(net="resnet18", tile=4), LayerStatistics(net="alexnet", tile=4)),
    )
