"""FADRM: the schedule of sizes and residuals, by hand, and a block of two stages."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.data.pixels import Pixels
from decoct.methods._shared.starts import cut
from decoct.methods.decoupled.fadrm import FADRM, residual, resize
from decoct.needs.teacher import Teacher


class Steps:
    """In the place of the work: a stage adds 1, and is written down."""

    def __init__(self):
        self.seen = []

    def stage(self, images, first, last):
        self.seen.append((first, last, images.shape[-1]))
        return images + 1


def test_the_residual_schedule_on_one_pixel():
    work, patch = Steps(), torch.full((1, 1, 1, 1, 1), 8.0)
    last = FADRM(iterations=10, alpha=0.25).at(1).optimise(work, patch)
    x = 8.0
    for _ in range(3):
        x = 0.25 * (x + 1) + 0.75 * 8
    assert last.item() == pytest.approx(x + 1)  # nothing is mixed in after the last stage
    assert work.seen == [(0, 2, 1), (2, 5, 1), (5, 7, 1), (7, 10, 1)]


@pytest.mark.parametrize(("stages", "sizes"), [(4, [200, 224, 200, 224]), (3, [224, 200, 224]), (1, [224])])
def test_sizes_alternate_and_the_last_is_whole(stages, sizes):
    work = Steps()
    last = FADRM(stages=stages).at(224).optimise(work, torch.zeros(1, 1, 1, 224, 224))
    assert [size for *_, size in work.seen] == sizes and last.shape[-1] == 224


def test_small_images_keep_their_size():
    work = Steps()
    FADRM(preset="tiny").at(64).optimise(work, torch.zeros(1, 1, 1, 64, 64))
    assert work.seen == [(0, 500, 64), (500, 1000, 64)]


def test_a_residual_is_a_share_of_each():
    assert residual(torch.tensor(2.0), torch.tensor(10.0), 0.25).item() == 8
    assert residual(torch.tensor(2.0), torch.tensor(10.0), 1.0).item() == 2


def test_a_resized_ramp_is_a_ramp():
    ramp = torch.linspace(0, 1, 8).expand(2, 3, 1, 8, 8)
    assert resize(ramp, 4).shape == (2, 3, 1, 4, 4)
    assert resize(ramp, 4)[0, 0, 0, 0].tolist() == pytest.approx(
        [(i + j) / 14 for i, j in [(0, 1), (2, 3), (4, 5), (6, 7)]]
    )


def test_a_block_is_the_papers_loop(toy, rewrite, layer_moments, apart):
    box = toy(others=("other",))
    nets, labels = [box.teacher, box.others["other"]], torch.arange(3)
    method = FADRM(iterations=8, stages=2, nets=("teacher", "other"), r=0.2, alpha=0.5)
    draft = method(box.inputs(1))
    given = box.inputs(1), Pixels.of(box.data, "cpu")
    patches = torch.cat([cut(*given, method.at(8).crops(*given, c, 1), 0, 1) for c in range(3)])
    assert (box.normalised(draft.initial) - patches).abs().max() < 4.1 / 255

    def loss(seen, t, active):
        net = nets[t % 2]
        logits, found = layer_moments(net, seen, nn.BatchNorm2d)
        return F.cross_entropy(logits, labels) + 0.2 * apart(found, [(net[1].running_mean, net[1].running_var)])

    expected = rewrite(
        box,
        method.at(8),
        patches,
        loss,
        name=(0, 0),
        stages=[(0, 4), (4, 8)],
        between=lambda x, k: 0.5 * (x + patches) if k == 0 else x,
    )
    assert np.abs(draft.images.astype(int) - expected).max() <= 1


def test_two_sizes_in_a_construction(toy):
    box = toy()
    half = FADRM(iterations=8, shrink=0.5)(box.inputs(2))
    assert half.images.shape == (6, 1, 8, 8) and half.steps == 8
    assert (half.images != FADRM(iterations=8)(box.inputs(2)).images).any()


def test_presets_are_the_authors():
    def values(spec):
        return spec.lr, spec.iterations, spec.stages, spec.r, spec.jitter, spec.scale, spec.block, spec.alpha

    assert values(FADRM().at(224)) == (0.25, 2000, 4, 0.01, 32, (0.08, 1.0), 100, 0.5)
    assert values(FADRM(preset="imagenette").at(224)) == (0.05, 2000, 4, 0.01, 32, (0.08, 1.0), 10, 0.5)
    assert values(FADRM(preset="tiny").at(64)) == (0.01, 1000, 2, 0.01, 4, (0.08, 1.0), 100, 0.5)
    assert values(FADRM(preset="imagewoof").at(224)) == (0.25, 2000, 4, 0.01, 32, (0.08, 1.0), 10, 0.5)
    assert values(FADRM(preset="cifar100").at(32)) == (0.25, 2000, 4, 0.01, 4, (0.08, 1.0), 100, 0.5)
    plus = FADRM(preset="imagenet1k_plus").at(224).nets
    assert plus == tuple(f"{net}.tv_in1k" for net in ("resnet18", "densenet121", "shufflenet_v2_x1_0", "mobilenet_v2"))
    assert FADRM().at(224).nets == ("teacher",) and round(224 * FADRM().at(224).shrink) == 200


def test_it_needs_its_nets_and_a_ranker_once():
    assert FADRM(nets=("a", "b"), ranker="b").needs() == (Teacher(net="a"), Teacher(net="b"))
