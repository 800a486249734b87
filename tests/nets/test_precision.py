"""A precision is that of a forward pass: what runs in it, what stays outside, what is as before afterwards."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

import decoct
from decoct.nets.precision import autocast, exact, within


@pytest.fixture
def net():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))


@pytest.fixture
def seen(net):
    """Types of what goes into the net's last layer."""
    types = []
    net[-1].register_forward_pre_hook(lambda _, args: types.append(args[0].dtype))
    return types


def test_the_pass_runs_in_bfloat16_and_what_comes_out_is_float32(net, seen):
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, half = net(x), within(net, "bfloat16")(x)
    assert seen == [torch.float32, torch.bfloat16]
    assert half.dtype == torch.float32 and all(p.dtype == torch.float32 for p in net.parameters())
    assert not torch.equal(plain, half)
    torch.testing.assert_close(half, plain, rtol=0.05, atol=0.02)


def test_gradients_are_float32_and_close(net):
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    sources = [x, *net.parameters()]
    plain, half = (torch.autograd.grad(f(x).square().sum(), sources) for f in (net, within(net, "bfloat16")))
    for a, b in zip(plain, half, strict=True):
        assert b.dtype == torch.float32 and 0 < (a - b).norm() < 0.03 * a.norm()


def test_float32_is_the_net_itself_and_no_autocast_on_any_device(net, monkeypatch):
    monkeypatch.setattr(torch, "autocast", None)  # entering it would fail
    assert within(net, "float32") is net
    for device in ("cpu", "meta", torch.device("cuda", 1)):
        with autocast(device, "float32"), exact(device):
            pass


def test_exact_ends_an_autocast_that_is_active_and_no_other():
    a = torch.randn(4, 4)
    with autocast("cpu", "bfloat16"):
        assert (a @ a).dtype == torch.bfloat16
        with exact(a.device):
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16
    with exact("cpu"):
        assert not torch.is_autocast_enabled("cpu")


def test_nothing_is_left_behind_by_a_failure():
    with pytest.raises(ValueError, match="within"), autocast("cpu", "bfloat16"):
        raise ValueError("within")
    assert not torch.is_autocast_enabled("cpu")


def test_products_are_in_tf32_on_cuda_in_the_block_alone(monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *args, **rest: nullcontext())
    with autocast("cuda:1", "float32"):
        assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(ValueError, match="within"), autocast("cuda:1", "bfloat16"):
        assert torch.get_float32_matmul_precision() == "high"
        raise ValueError("within")
    assert torch.get_float32_matmul_precision() == "highest"
    with autocast("cpu", "bfloat16"):
        assert torch.get_float32_matmul_precision() == "highest"


def test_every_autocast_goes_through_it():
    source = Path(decoct.__file__).parent
    files = [path.name for path in source.rglob("*.py") if re.search(r"torch\.(amp\.)?autocast\(", path.read_text())]
    assert files == ["precision.py"]
