"""The stem for small images."""

import pytest
import torch
from torch import nn
from torchvision import models

from decoct.core.errors import UsageError
from decoct.nets.resnet import resnet


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3), (64, 3)])
def test_up_to_64_px_the_stem_keeps_the_resolution(size, channels):
    net = resnet("resnet18", channels, 7, size)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    assert stem(torch.zeros(2, channels, size, size)).shape == (2, 64, size, size)
    assert net.conv1.kernel_size == (3, 3)
    assert net.conv1.bias is None


@pytest.mark.parametrize("channels", [1, 3])
def test_above_64_px_it_is_torchvision_s(channels):
    net = resnet("resnet18", channels, 7, 65).eval()
    theirs = models.resnet18(num_classes=7).eval()
    shapes = {name: value.shape for name, value in theirs.state_dict().items()}
    shapes["conv1.weight"] = torch.Size([64, channels, 7, 7])
    assert {name: value.shape for name, value in net.state_dict().items()} == shapes
    assert net(torch.zeros(1, channels, 65, 65)).shape == (1, 7)
    assert isinstance(net.maxpool, nn.MaxPool2d)


@pytest.mark.parametrize("size", [32, 65])
def test_instance_norm_stands_for_batch_norm_and_nothing_else_changes(size):
    net, plain = resnet("resnet18_in", 3, 7, size), resnet("resnet18", 3, 7, size)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    norms = [m for m in net.modules() if isinstance(m, nn.GroupNorm)]
    assert len(norms) == 20
    assert all(m.num_groups == m.num_channels and m.affine for m in norms)
    shapes = {name: value.shape for name, value in plain.named_parameters()}
    assert {name: value.shape for name, value in net.named_parameters()} == shapes


def test_instance_norm_needs_more_than_one_pixel():
    with pytest.raises(UsageError, match="resnet18_in halves the image three times"):
        resnet("resnet18_in", 1, 7, 8)
    assert resnet("resnet18_in", 1, 7, 9).eval()(torch.randn(3, 1, 9, 9)).std(0).min() > 1e-4


def test_other_names_are_not_its_own():
    assert resnet("resnet18_bn", 3, 10, 32) is None
    assert resnet("resnet10t", 3, 10, 32) is None
    assert resnet("convnet3", 3, 10, 32) is None
