"""Matching in bfloat16: nets run in it, images and what is matched stay float32, and gradients are close."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator
from torch.nn.functional import cosine_similarity

from decoct.methods.matching._shared.gradients import class_gradient, matched, matching_gradient
from decoct.methods.matching._shared.trajectories import Inner
from decoct.methods.matching._shared.trajectories import matched as trajectory_distance
from decoct.methods.matching.datm import DATM
from decoct.methods.matching.dc import DC
from decoct.methods.matching.dm import DM
from decoct.methods.matching.dsa import DSA
from decoct.methods.matching.mtt import MTT
from decoct.nets import zoo

EXPERTS = {"net": "convnet2_w8", "experts": 1, "epochs": 4, "iterations": 3, "syn_steps": 3, "lr_img": 10.0}
IN_RANDOM_NETS = {"net": "convnet2_w8", "iterations": 3, "batch": 16}


@pytest.mark.parametrize(
    "method", [DM(**IN_RANDOM_NETS), *(cls(**IN_RANDOM_NETS, outer=2, inner=2) for cls in (DC, DSA))], ids=type
)
def test_images_of_random_nets(method, patterns, in_both):
    agree(*in_both(method, lambda spec: patterns.inputs(2)))


@pytest.mark.parametrize("method", [MTT(**EXPERTS), DATM(**EXPERTS)], ids=type)
def test_images_of_experts(method, patterns, matching, in_both):
    matching(method, 2, box=patterns)  # trains the experts, in float32
    agree(*in_both(method, lambda spec: matching(spec, 2, box=patterns)))


def agree(plain, half):
    assert half.images.dtype == np.float32 and (plain.initial == half.initial).all()
    assert 0 < np.abs(plain.images - half.images).max() < 0.1  # black is 0, white 1
    for name in ("loss_first", "loss_last"):
        assert half.notes[name] == pytest.approx(plain.notes[name], rel=0.05)


def test_a_gradient_that_is_differentiated_again_is_close():
    net = zoo.build("convnet2_w32", 1, 10, 16, 0)
    images = torch.randn(8, 1, 16, 16, generator=Generator().manual_seed(0))
    real = class_gradient(net, images, 3)
    half = class_gradient(net, images, 3, precision="bfloat16")
    for a, b, weight in zip(real, half, matched(net), strict=True):
        assert b.dtype == weight.dtype == torch.float32 and cosine_similarity(a.flatten(), b.flatten(), 0) > 0.99
    made = torch.randn(4, 1, 16, 16, generator=Generator().manual_seed(1))
    plain, pushed = (matching_gradient(net, made, 3, real, None, how) for how in ("float32", "bfloat16"))
    assert pushed[0].item() == pytest.approx(plain[0].item(), rel=0.02) and pushed[1].dtype == torch.float32
    assert cosine_similarity(plain[1].flatten(), pushed[1].flatten(), 0) > 0.99


def test_the_gradient_through_a_students_steps_is_close(patterns, matching):
    method = MTT(**EXPERTS | {"syn_steps": 20, "max_start_epoch": 2})
    inputs = matching(method, 4, box=patterns)
    experts = inputs.trajectories[method.need]
    inner = Inner.draw(Generator().manual_seed(0), method, 0, 1, 12, patterns.data)
    rows = np.concatenate([np.flatnonzero(patterns.data.train.labels == c)[:4] for c in range(3)])
    images, labels = patterns.normalised(patterns.data.train.images[rows]), torch.arange(3).repeat_interleave(4)
    (loss, plain), (again, half) = (
        trajectory_distance(replace(experts, precision=how), inner, 2, images, labels, torch.tensor(0.02))
        for how in ("float32", "bfloat16")
    )
    assert again.item() == pytest.approx(loss.item(), rel=0.02) and half.learnt[0].dtype == torch.float32
    assert cosine_similarity(plain.learnt[0].flatten(), half.learnt[0].flatten(), 0) > 0.99
