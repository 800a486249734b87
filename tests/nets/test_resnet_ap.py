"""ResNetAP against the same net written out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.core.errors import UsageError
from decoct.nets.resnet_ap import ResNetAP, resnet_ap


def normed(x, gain, shift, batch_norm):
    axes = (0, 2, 3) if batch_norm else (2, 3)
    x = (x - x.mean(axes, keepdim=True)) / (x.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return x * gain.view(-1, 1, 1) + shift.view(-1, 1, 1)


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("size", "kernel", "pool"), [(32, 3, 1), (80, 3, 2), (130, 7, 4)])
def test_forward_is_stem_four_blocks_that_pool_and_one_linear_layer(size, kernel, pool, batch_norm):
    torch.random.default_generator.manual_seed(0)
    net = ResNetAP(2, 5, size, batch_norm=batch_norm).double()
    x = torch.randn(2, 2, size, size, dtype=torch.float64)
    left = list(net.parameters())

    def conv(h):
        k, gain, shift = (left.pop(0) for _ in range(3))
        return normed(F.conv2d(h, k, padding=k.shape[-1] // 2), gain, shift, batch_norm)

    assert left[0].shape == (64, 2, kernel, kernel)
    h = F.avg_pool2d(conv(x).relu(), pool)
    for stage in range(4):
        halve = 2 if stage else 1
        first, gain, shift = (left.pop(0) for _ in range(3))
        inner = F.avg_pool2d(normed(F.conv2d(h, first, padding=1), gain, shift, batch_norm).relu(), halve)
        inner = conv(inner)
        if stage:
            k, gain, shift = (left.pop(0) for _ in range(3))
            h = normed(F.avg_pool2d(F.conv2d(h, k), halve), gain, shift, batch_norm)
        h = (inner + h).relu()
        assert h.shape[1] == 64 * 2**stage
    weight, bias = left
    torch.testing.assert_close(net(x), h.mean((2, 3)) @ weight.T + bias)


def test_the_names_say_depth_and_norm():
    convolutions = {"resnet_ap10": 12, "resnet_ap18": 20}  # with the shortcuts of three stages
    for name, expected in convolutions.items():
        net = resnet_ap(name, 3, 10, 32)
        assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) == expected
        assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert not any(isinstance(m, nn.GroupNorm) for m in resnet_ap("resnet_ap10_bn", 3, 10, 32).modules())
    for name in ("resnet_ap", "resnet_ap50", "resnet_ap10_in", "resnet10", "convnet3"):
        assert resnet_ap(name, 3, 10, 32) is None


def test_convolutions_start_from_he_s_normal_distribution():
    torch.random.default_generator.manual_seed(0)
    last = [m for m in ResNetAP(3, 10, 32).modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][-1]
    assert last.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)


def test_one_pixel_is_too_few_for_instance_norm_but_not_for_batch_norm():
    with pytest.raises(UsageError, match="15 px is less than 16"):
        resnet_ap("resnet_ap10", 1, 5, 15)
    with pytest.raises(UsageError, match="7 px is less than 8"):
        resnet_ap("resnet_ap10_bn", 1, 5, 7)
    x = torch.randn(3, 1, 16, 16)
    assert resnet_ap("resnet_ap10", 1, 5, 16)(x).std(0).min() > 1e-3  # else every image would look the same
    assert resnet_ap("resnet_ap10_bn", 1, 5, 8)(x[:, :, :8, :8]).shape == (3, 5)
