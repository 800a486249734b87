"""ConvNet-D layer by layer."""

import pytest
import torch
import torch.nn.functional as F

from decoct.core.errors import UsageError
from decoct.nets.convnet import ConvNet, check_depth, convnet, depth


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_forward_is_conv_norm_relu_pool_and_one_linear_layer(norm):
    torch.random.default_generator.manual_seed(0)
    net = ConvNet(3, 5, 16, width=6, depth=3, norm=norm)
    x = torch.randn(4, 3, 16, 16)
    weights = list(net.parameters())
    h = x
    for block in range(3):
        kernel, bias, gain, shift = weights[4 * block : 4 * block + 4]
        h = F.conv2d(h, kernel, bias, padding=1)
        axes = (2, 3) if norm == "instance" else (0, 2, 3)
        h = (h - h.mean(axes, keepdim=True)) / (h.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
        h = F.avg_pool2d((h * gain.view(-1, 1, 1) + shift.view(-1, 1, 1)).relu(), 2)
    expected = h.flatten(1) @ weights[-2].T + weights[-1]
    torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=1e-5)


def test_the_names_say_depth_norm_and_width():
    # Parameters of the literature's ConvNet-3 on CIFAR-10 (Zhao et al., 2021): 320,010.
    assert count(convnet("convnet3", 3, 10, 32)) == 320010
    assert count(convnet("convnet3_bn", 3, 10, 32)) == 320010
    narrow = convnet("convnet4_bn_w64", 1, 10, 32)
    assert [m.out_channels for m in narrow.modules() if isinstance(m, torch.nn.Conv2d)] == [64] * 4
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in narrow.modules())
    plain = convnet("convnet3_w32", 1, 10, 28)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules())
    assert plain.classifier.in_features == 32 * 4 * 4


def test_grey_images_of_28_px_are_padded_to_32_as_in_the_lineage():
    net = convnet("convnet3", 1, 10, 28)
    assert count(net) == 317706  # of the authors' ConvNet on MNIST and Fashion-MNIST
    assert net.features[0](torch.zeros(1, 1, 28, 28)).shape == (1, 128, 32, 32)
    others = [convnet("convnet3", 1, 10, 32), convnet("convnet3", 3, 10, 28)]
    assert [net.features[0].padding for net in others] == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    "name",
    ["convnet", "convnet7", "convnet0", "convnet3_w0", "convnet3_w", "convnet3_w8_bn", "convnet3_bn_bn", "resnet18"],
)
def test_other_names_are_not_its_own(name):
    assert convnet(name, 3, 10, 32) is None


def test_the_fitting_net_ends_in_a_map_of_three_or_more():
    assert {size: depth(size) for size in (8, 28, 32, 64, 128, 224)} == {8: 2, 28: 3, 32: 3, 64: 4, 128: 5, 224: 6}
    for size in range(4, 257):
        last = size // 2 ** depth(size)
        assert last >= (3 if size >= 12 else 2)
        assert depth(size) == 6 or last // 2 < (3 if size >= 12 else 2)  # one block more would be too many


@pytest.mark.parametrize(
    ("name", "size", "fits"),
    [
        ("convnet3", 8, "convnet2"),
        ("convnet3_w32", 11, "convnet2_w32"),
        ("convnet2_w8", 5, "convnet1_w8"),
        ("convnet4", 16, "convnet2"),
        ("convnet5_w16", 32, "convnet3_w16"),
        ("convnet1", 2, "resnet18"),
    ],
)
def test_a_last_instance_norm_of_four_positions_is_refused_with_the_net_to_take(name, size, fits):
    with pytest.raises(UsageError, match=rf"{name} hardly learns from {size} px(.|\n)*\ntake {fits}, which"):
        check_depth(name, size)
    check_depth(fits, size)


def test_a_last_norm_that_sees_more_or_looks_at_the_batch_is_taken():
    for name, size in [("convnet3", 12), ("convnet2", 8), ("convnet3_bn", 8), ("convnet4", 28), ("resnet18", 8)]:
        check_depth(name, size)


def test_what_is_refused_gives_nearly_the_same_numbers_for_every_image():
    torch.random.default_generator.manual_seed(0)
    x = torch.rand(256, 1, 8, 8)
    spread = {}
    for blocks in (2, 3):
        seen = ConvNet(1, 10, 8, width=32, depth=blocks).features(x).detach()
        spread[blocks] = float(seen.std(0).mean() / seen.mean())
    assert spread[3] < spread[2] / 2


def test_an_image_that_cannot_be_halved_so_often_is_refused():
    with pytest.raises(UsageError, match="8"):
        convnet("convnet3_w8", 1, 10, 7)
    assert convnet("convnet3_w8", 1, 10, 8)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
