"""What decoct draws, handed to the authors' programs of trajectory matching: in their bounds and order."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from decoct.needs.trajectory import Experts, Trajectory, shapes_of
from decoct.nets import zoo

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from originals.experts import buffers, ordered, within


def test_a_number_is_given_within_its_bounds_alone():
    draw = within([((0, 4), 3), ((1, 2), 1)])
    assert draw(0, 4) == 3
    with pytest.raises(RuntimeError, match=r"draws from 0 to 2, decoct from \(1, 2\)"):
        draw(0, 2)


def test_experts_come_in_the_order_of_the_draws():
    shuffle, files, experts, seen = ordered([1, 1, 0], 2), [0], [0, 1], []
    for _ in range(2):
        shuffle(files)
        shuffle(experts)
        seen += experts
    assert seen == [1, 1, 0, 0] and files == [0]


def test_buffers_hold_the_tensors_of_each_epoch():
    net = zoo.build("convnet1_w8", 1, 3, 8, 0)
    rows = np.random.default_rng(0).normal(size=(3, sum(p.numel() for p in net.parameters()))).astype(np.float32)
    (expert,) = buffers(Experts(net, (Trajectory(rows, shapes_of(net)),)))
    assert [[tuple(part.shape) for part in epoch] for epoch in expert] == [
        [tuple(p.shape) for p in net.parameters()]
    ] * 3
    assert np.array_equal([torch.cat([part.flatten() for part in epoch]).numpy() for epoch in expert], rows)
