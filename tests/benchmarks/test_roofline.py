"""The roofline of a GPU that is not here: closed forms of single operations."""

import importlib.util
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import UsageError

spec = importlib.util.spec_from_file_location("roofline", Path(__file__).parents[2] / "benchmarks" / "roofline.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
GPUS, REACHED, Gpu, Roofline, gpu = (getattr(module, n) for n in ("GPUS", "REACHED", "Gpu", "Roofline", "gpu"))

SLOW = Gpu("slow", half=4e9, rounded=2e9, single=1e9, double=5e8, bandwidth=1e9)  # nothing is as short as a launch
ENDLESS = Gpu("of memory alone", *[1e30] * 4, 1e9)


def seconds(call, on=SLOW, **how):
    with Roofline(on, **how) as roof:
        call()
    return roof.seconds * REACHED


@pytest.mark.parametrize(
    ("dtype", "rate"), [(torch.bfloat16, 4e9), (torch.float32, 1e9), (torch.float64, 5e8)], ids=str
)
def test_a_product_takes_its_arithmetic_in_its_precision(dtype, rate):
    a, b = torch.zeros(64, 300, dtype=dtype), torch.zeros(300, 200, dtype=dtype)
    assert seconds(lambda: a @ b) == pytest.approx(2 * 64 * 300 * 200 / rate)


def test_products_in_float32_are_rounded_where_torch_is_told_so(monkeypatch):
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    a = torch.zeros(200, 200)
    assert seconds(lambda: a @ a) == pytest.approx(2 * 200**3 / 2e9)


@given(st.integers(1, 3), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.booleans())
def test_a_convolution_and_its_gradients(images, groups, width, first):
    """2 · C_out · H · W · C_in / groups · k²; each gradient as much again; the first layer's image needs none."""
    net = nn.Conv2d(4 * width, 8 * width, 3, padding=1, groups=groups, bias=False)
    x = torch.zeros(images, 4 * width, 12, 12, requires_grad=not first)
    forward = 2 * images * 8 * width * 144 * 4 * width // groups * 9
    once = seconds(lambda: net(x), Gpu("of arithmetic alone", *[1e6] * 4, 1e30))
    assert once == pytest.approx(forward / 1e6)
    both = seconds(lambda: net(x).sum().backward(), Gpu("of arithmetic alone", *[1e6] * 4, 1e30))
    assert both == pytest.approx((2 if first else 3) * forward / 1e6, rel=1e-3)


def test_attention_and_its_gradient():
    """Q K^T and its product with V; backward, both once more as they are recomputed, and two gradients of each."""
    q = torch.zeros(2, 3, 16, 8, requires_grad=True)
    forward, on = 2 * 2 * (2 * 3 * 16 * 16 * 8), Gpu("of arithmetic alone", *[1e6] * 4, 1e30)
    assert seconds(lambda: F.scaled_dot_product_attention(q, q, q), on) == pytest.approx(forward / 1e6)
    both = seconds(lambda: F.scaled_dot_product_attention(q, q, q).sum().backward(), on)
    assert both == pytest.approx(3.5 * forward / 1e6, rel=1e-3)


def test_what_is_put_together_is_counted_by_its_parts_with_gradients_and_without():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Flatten(), nn.Linear(800, 4)).eval()
    x = torch.zeros(4, 3, 12, 12)
    with torch.inference_mode():
        without = seconds(lambda: net(x))
    assert without > 0 and without == pytest.approx(seconds(lambda: net(x)))


@pytest.mark.parametrize(
    ("call", "moved"),
    [
        (lambda x: x + 1, 2),
        (lambda x: x.relu_(), 2),
        (lambda x: x.fill_(1.0), 1),
        (lambda x: x.clone().copy_(x), 2 + 2),
        (lambda x: x.bfloat16(), 1.5),
        (lambda x: x.sum(), 1),
        (lambda x: torch.add(x, x, out=x), 3),
        (lambda x: x[:1].expand(len(x), -1).sum(), 1 / 1000),
        (lambda x: torch._foreach_mul_([x, x], 0.5), 4),
        (lambda x: x.t().reshape(-1)[:1].view(1), 2),
        (lambda x: x.view(-1).detach()[3:].unflatten(0, (1, -1)), 0),
        (lambda x: torch.empty_like(x), 0),
    ],
)
def test_what_an_operation_reads_and_writes(call, moved):
    x = torch.ones(1000, 1000)
    assert seconds(lambda: call(x), ENDLESS) == pytest.approx(moved * x.nbytes / 1e9, rel=1e-3, abs=1e-4)


def test_picking_rows_does_not_read_all():
    x, rows = torch.ones(10_000, 1000), torch.arange(500)
    picked = rows.nbytes + 2 * 500 * 4000
    assert seconds(lambda: x[rows], ENDLESS) == pytest.approx(picked / 1e9)
    assert seconds(lambda: x.index_select(0, rows), ENDLESS) == pytest.approx(picked / 1e9, rel=1e-2)
    put = torch.ones(500, 1000)
    assert seconds(lambda: x.index_add_(0, rows, put), ENDLESS) == pytest.approx(3 * put.nbytes / 1e9, rel=1e-2)


def test_every_operation_has_to_be_launched():
    x = torch.ones(4)
    with Roofline(GPUS["h100"]) as roof:
        for _ in range(10):
            x.add_(1)
    assert roof.seconds == pytest.approx(10 * module.LAUNCH)
    assert roof.clock() == (roof.seconds, 0.0)


def test_where_nets_alone_are_on_the_gpu_all_else_takes_its_time_here():
    class Waits(nn.Sequential):
        def forward(self, x):
            time.sleep(0.2)
            return super().forward(x)

    net, x = Waits(nn.Linear(300, 300, bias=False)), torch.ones(200, 300)
    with Roofline(SLOW, nets_alone=True) as roof:
        before = roof.clock()
        time.sleep(0.1)
        x @ x.T
        with torch.inference_mode():
            net(x)
        with pytest.raises(RuntimeError):
            net(x.T)
        wall, cpu = (b - a for a, b in zip(before, roof.clock(), strict=True))
    inside = 2 * 200 * 300 * 300 / 1e9 / REACHED
    assert roof.seconds == pytest.approx(inside)
    assert 0.1 + inside <= wall < 0.2 + inside
    assert cpu < 0.1
    assert net(x).shape == (200, 300) and roof.seconds == pytest.approx(inside)  # nothing counts any more


@pytest.mark.parametrize("name", ["h100", "H100", "RTX4090", "a100-80gb", "A100 80GB"])
def test_a_gpu_by_its_name(name):
    assert gpu(name).bandwidth > 1e12 and gpu(name).half > gpu(name).rounded >= gpu(name).single


def test_another_name_is_refused_with_those_that_are_known():
    with pytest.raises(UsageError, match="no GPU 'abacus' is known; there are h200, h100"):
        gpu("abacus")


def test_a_training_step_counts_its_fused_optimiser():
    net, x = nn.Linear(400, 400, bias=False), torch.ones(8, 400)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, fused=True)
    F.mse_loss(net(x), x).backward()
    optimiser.step()
    size = net.weight.nbytes  # the parameter and its momentum are read and written; the gradient, by its schema, too
    assert 5 * size <= seconds(optimiser.step, ENDLESS) * 1e9 <= 6.1 * size
