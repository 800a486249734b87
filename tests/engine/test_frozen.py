"""Frozen nets are as they were afterwards; fixed batch norms are batch norms."""

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, nn

from decoct.engine.frozen import FixedNorms, frozen
from decoct.nets import zoo


def test_a_teacher_is_left_as_it_was_found():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).train()
    net[0].weight.requires_grad_(False)
    net[1].eval()
    with frozen(net) as teacher:
        assert not any(m.training for m in teacher.modules())
        assert not any(p.requires_grad for p in teacher.parameters())
    assert net.training and net[0].training and not net[1].training
    assert [p.requires_grad for p in net.parameters()] == [False] + [True] * (len(list(net.parameters())) - 1)


def used(name, size=32):
    """A net whose running statistics are not those it started with."""
    net, generator = zoo.build(name, 3, 5, size, 0), Generator().manual_seed(1)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                for value in (module.running_mean, module.running_var, module.weight, module.bias):
                    value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["convnet3_bn", "resnet18", "resnet10t", "mobilenetv3_small_050"])
def test_fixed_norms_give_the_logits_and_gradients_of_batch_norm(name):
    net, x = used(name).double(), torch.randn(3, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    plain = net(x)
    (slope,) = torch.autograd.grad(plain.square().sum(), x)
    with FixedNorms() as norms:
        for _ in range(2):  # the second from what the first kept
            fixed = net(x)
    (again,) = torch.autograd.grad(fixed.square().sum(), x)
    assert len(norms.maps) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    torch.testing.assert_close(fixed, plain)
    torch.testing.assert_close(again, slope)


def test_norms_that_train_or_have_no_statistics_are_left_as_they_are():
    x, norm = torch.randn(4, 3, 5, 5), nn.BatchNorm2d(3)
    expected = F.batch_norm(x, None, None, norm.weight, norm.bias, True)
    with FixedNorms() as norms:
        assert torch.equal(norm.train()(x), expected)
        assert torch.equal(nn.BatchNorm2d(3, track_running_stats=False).eval()(x), expected)
    assert not norms.maps and norm.num_batches_tracked == 1


def test_without_weights_a_norm_is_fixed_too():
    x, norm = torch.randn(4, 3, 5, 5), nn.BatchNorm2d(3, affine=False).eval()
    norm.running_mean += 2
    with FixedNorms():
        torch.testing.assert_close(norm(x), (x - 2) / (1 + 1e-5) ** 0.5)
