"""Evaluation against one image at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from decoct.data.dataset import Split
from decoct.training.evaluate import correct


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_an_image_is_right_if_its_label_has_the_largest_logit(batch):
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 256, (50, 3, 4, 4), dtype=np.uint8), rng.integers(0, 5, 50))
    data = SimpleNamespace(mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4), whitening=None)
    torch.random.default_generator.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 5)).eval()
    right = correct(net, split, data, "cpu", batch)
    assert right.dtype == np.bool_
    weight, bias = (p.detach().double().numpy() for p in net[1].parameters())
    for image, label, one in zip(split.images, split.labels, right, strict=True):
        x = (image / 255 - np.array(data.mean)[:, None, None]) / np.array(data.std)[:, None, None]
        assert one == (np.argmax(weight @ x.ravel() + bias) == label)
    assert 0 < right.sum() < 50


def test_nothing_is_learnt_from_the_images():
    net = nn.Sequential(nn.Conv2d(1, 3, 4), nn.BatchNorm2d(3), nn.Flatten()).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4), dtype=np.uint8)
    correct(net, Split(images, np.zeros(9, np.int64)), SimpleNamespace(mean=(0.5,), std=(0.5,), whitening=None), "cpu")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
