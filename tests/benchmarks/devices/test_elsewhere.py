"""The device that is none: it computes as a CPU does, refuses what a GPU refuses, and counts what it waits for."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.methods.decoupled._shared.invert import Alignment, FixedNorms
from decoct.nets.moments import Moments, both_sums
from devices.elsewhere import There, elsewhere


@pytest.fixture
def device():
    with elsewhere() as made:
        yield made


def there(*shape):
    return torch.rand(shape).to("meta")


def test_a_training_ends_in_the_bytes_of_the_cpu():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.GroupNorm(2, 8), nn.Flatten())
    net = nn.Sequential(net, nn.Linear(8 * 36, 5)).to(memory_format=torch.channels_last)
    x, y = torch.rand(6, 3, 8, 8), torch.arange(6) % 5

    def trained(net, x, y):
        optimiser = torch.optim.AdamW(net.parameters(), 0.01, fused=True)
        for _ in range(3):
            loss = F.cross_entropy(net(x), y)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
        return [p.detach().cpu() for p in net.parameters()]

    expected = trained(copy.deepcopy(net), x, y)
    with elsewhere():
        found = trained(net.to("meta"), x.to("meta"), y.to("meta"))
        assert next(net.parameters()).device.type == "meta"
    assert all(map(torch.equal, expected, found))


@pytest.mark.parametrize(
    "call",
    [
        lambda q: F.scaled_dot_product_attention(q, q, q),
        lambda q: F.group_norm(q.contiguous(memory_format=torch.channels_last), 3),
        lambda q: F.silu(q),
        lambda q: F.silu(q * 1, inplace=True).mean((2, 3)),
        lambda q: F.interpolate(q, (5, 7), mode="bilinear", antialias=True),
        lambda q: torch.func.vmap(torch.func.grad(lambda x: x.square().sum()))(q),
        lambda q: torch.stack(q.split(1)).unflatten(2, (1, -1)).sum(2),
    ],
    ids=["attention", "group norm", "silu", "in place", "resize", "vmap of grad", "views"],
)
def test_values_and_gradients_are_the_cpu_s(device, call):
    x = torch.rand(2, 3, 4, 6)
    slopes = []
    for where in ("cpu", "meta"):
        leaf = x.to(where, copy=True).requires_grad_()
        value = call(leaf)
        (value.sin() * value).sum().backward()
        slopes.append((value.detach().cpu(), leaf.grad.cpu()))
    (value, slope), (found, found_slope) = slopes
    assert torch.equal(value, found) and torch.equal(slope, found_slope)


def test_what_is_made_there_has_values(device):
    for made in (torch.tensor([1.0, 2.0], device="meta"), there(2).new_tensor([1.0, 2.0])):
        assert isinstance(made, There) and made.tolist() == [1.0, 2.0]


def test_in_inference_mode_a_view_of_what_was_made_before_is_no_tensor_of_that_mode(device):
    x = there(2, 3)
    with torch.inference_mode():
        assert not x.detach().reshape(-1).is_inference() and (x + 1).is_inference()
        assert torch.equal(x.detach().reshape(-1).cpu(), x.cpu().reshape(-1))


@torch.inference_mode()
def test_in_inference_mode_too_the_cpu_s_kernels_compute(device):
    x, side = torch.rand(2, 3, 14, 14), (16, 16)
    resized = F.interpolate(x.to("meta"), side, mode="bilinear", align_corners=False)
    assert torch.equal(resized.cpu(), F.interpolate(x, side, mode="bilinear", align_corners=False))


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda: there(3) + torch.rand(3), "same device"),
        (lambda: torch.cat([there(3), torch.rand(3)]), "same device"),
        (lambda: F.cross_entropy(there(2, 3), torch.tensor([0, 1])), "same device"),
        (lambda: torch.rand(3, 4)[torch.arange(2).to("meta")], "same device"),
        (lambda: there(3).index_put_((torch.arange(2),), torch.rand(2)), "same device"),
        (lambda: torch.rand(3, device="meta", generator=torch.Generator()), "generator"),
        (lambda: there(3).normal_(generator=torch.Generator()), "generator"),
        (lambda: there(3).numpy(), "numpy"),
        (lambda: np.asarray(there(3)), "numpy"),
    ],
)
def test_it_refuses_what_a_gpu_refuses(device, call, refusal):
    with pytest.raises((RuntimeError, TypeError), match=refusal):
        call()


def test_it_takes_what_a_gpu_takes(device):
    x = there(3, 4)
    assert (x * torch.tensor(2.0)).device.type == "meta"  # a number
    assert x[torch.tensor([0, 2])].shape == (2, 4)  # indices of the host
    x[torch.arange(3) > 1] = 0.0
    assert x.cpu()[2].eq(0).all()


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (lambda x: x.cpu(), "_to_copy"),
        (lambda x: torch.empty(4).copy_(x), "copy_"),
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: float(x[0]), "_local_scalar_dense"),
        (lambda x: bool(x.isfinite().all()), "_local_scalar_dense"),
        (lambda x: x[(x > 0).sum() - 1], "_local_scalar_dense"),
        (lambda x: x.tolist(), "_to_copy"),
        (lambda x: torch.equal(x, x), "equal"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x.unique(), "_unique2"),
        (lambda x: x[x > 0.5], "index"),
        (lambda x: x.masked_select(x > 0.5), "masked_select"),
        (lambda x: x.repeat_interleave((x > 0).long()), "repeat_interleave"),
        (lambda x: torch.linalg.eigvalsh(x.outer(x)), "_linalg_eigh"),
    ],
)
def test_what_tells_the_host_a_value_is_a_wait(device, call, operation):
    x = there(4)
    call(x)
    assert [name for _, name in device.waits.elements()] == [operation]
    assert {line for line, _ in device.waits} == {"outside"}


def test_what_tells_the_host_nothing_is_none(device):
    x = there(4)
    for call in (torch.sum, torch.argsort, torch.isfinite, lambda x: x[1:].clone(), lambda x: x[x.argsort()]):
        call(x)
    torch.where(x > 0.5, x, 0.0).repeat_interleave(2)
    x.repeat_interleave((x >= 0).long(), output_size=4)
    assert not device.waits


def test_what_is_sent_is_counted_by_whether_the_host_waits(device):
    x, host = there(4), torch.rand(4)
    assert sum(device.uploads.values()) == 1  # that of x itself
    host.to("meta")
    x.copy_(host)
    torch.tensor([1, 2], device="meta")
    x[torch.tensor([0, 1])]
    assert sum(device.uploads.values()) == 5 and not device.sent
    host.to("meta", non_blocking=True)
    x.copy_(host, non_blocking=True)
    assert sum(device.uploads.values()) == 5 and sum(device.sent.values()) == 2
    assert not device.waits


def test_outside_of_the_block_nothing_is_done_with_it():
    with elsewhere():
        x = there(3)
    with pytest.raises(RuntimeError, match="outside of the block"):
        x + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_moments_that_a_gpu_sums_in_its_own_way_and_their_gradient_are_the_cpu_s(dtype):
    x = (torch.randn(6, 4, 9, 9, generator=torch.Generator().manual_seed(0)) + 0.5).to(dtype)
    norm = nn.BatchNorm2d(4).eval().requires_grad_(False)
    norm.running_mean.uniform_(-1, 1), norm.running_var.uniform_(0.5, 2)

    def found(net, x):
        alignment = Alignment(net, 3, {"": Moments(torch.zeros(4), torch.ones(4))})
        alignment.targets = {"": Moments(*(part.to(x.device) for part in alignment.targets[""].parts()))}
        alignment.norms, x = FixedNorms(), x.detach().clone().requires_grad_()
        with alignment.watching(), alignment.norms:
            after, apart = alignment.judge(x)
        (after.float().square().mean() + apart.sum()).backward()
        sums = both_sums(x.detach().float(), (2, 3))
        return [each.detach().cpu().double() for each in (after, apart, x.grad, *sums)]

    expected = found(norm, x)
    with elsewhere():
        made = found(copy.deepcopy(norm).to("meta"), x.to("meta"))
    for ours, theirs in zip(made, expected, strict=True):
        assert (ours - theirs).norm() <= (1e-6 if dtype == torch.float32 else 0.01) * theirs.norm()
