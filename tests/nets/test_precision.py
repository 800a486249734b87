"""A precision is that of a forward pass: what runs in it, what stays outside, what is as before afterwards."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

import decoct
from decoct.nets import precision
from decoct.nets.compiled import graph, rounds
from decoct.nets.precision import Widened, autocast, exact, within

ULP = 2**-8  # the most that rounding to bfloat16 changes a number, of its size; a unit in the last place is twice that
PRODUCTS = {
    "linear": (F.linear, (5, 7), (3, 7), (3,)),
    "matmul": (torch.matmul, (2, 5, 7), (7, 3)),
    "matmul of the tensor": (Tensor.matmul, (5, 7), (7,)),
    "@": (lambda a, b: a @ b, (5, 7), (7, 3)),
    "mm": (torch.mm, (5, 7), (7, 3)),
    "mm of the tensor": (Tensor.mm, (5, 7), (7, 3)),
    "bmm": (torch.bmm, (2, 5, 7), (2, 7, 3)),
    "bmm of the tensor": (Tensor.bmm, (2, 5, 7), (2, 7, 3)),
    "addmm": (torch.addmm, (5, 3), (5, 7), (7, 3)),
    "baddbmm": (torch.baddbmm, (2, 5, 3), (2, 5, 7), (2, 7, 3)),
    "einsum": (lambda a, b: torch.einsum("nij,njk->nik", a, b), (2, 5, 7), (2, 7, 3)),
    "einsum of a list": (lambda a, b: torch.einsum("nij,njk->nik", [a, b]), (2, 5, 7), (2, 7, 3)),
    "attention": (F.scaled_dot_product_attention, (2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 4)),
    "conv1d": (F.conv1d, (2, 4, 9), (6, 4, 3), (6,)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), (2, 4, 9, 9), (6, 4, 3, 3), (6,)),
    "conv2d in groups": (lambda x, w: F.conv2d(x, w, groups=2, padding="same"), (2, 4, 9, 9), (6, 2, 3, 3)),
    "conv3d": (F.conv3d, (1, 2, 5, 5, 5), (3, 2, 3, 3, 3)),
    "conv_transpose1d": (F.conv_transpose1d, (2, 4, 5), (4, 3, 3)),
    "conv_transpose2d": (F.conv_transpose2d, (2, 4, 5, 5), (4, 3, 2, 2), (3,)),
    "conv_transpose3d": (F.conv_transpose3d, (1, 4, 3, 3, 3), (4, 3, 2, 2, 2)),
}


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


@pytest.mark.parametrize("name", PRODUCTS)
def test_without_instructions_a_product_is_that_of_bfloat16_and_so_are_its_gradients(name):
    function, *shapes = PRODUCTS[name]
    draw = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=draw) for shape in shapes]
    rounded = [x.bfloat16() for x in drawn]
    given = [x.clone().requires_grad_() for x in drawn]
    with torch.autocast("cpu", torch.bfloat16), Widened():
        found = function(*given)
    back = torch.autograd.grad(found.float().square().sum(), given)

    finely = [x.double().requires_grad_() for x in rounded]
    wanted = function(*finely)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, rtol=1.01 * ULP, atol=1e-6)
    wanted_back = torch.autograd.grad((wanted * (2 * found.double())).sum(), finely)
    for a, b in zip(back, wanted_back, strict=True):  # what comes in is rounded, and so is what goes out
        assert a.dtype == torch.float32 and torch.equal(a, a.bfloat16().float())
        torch.testing.assert_close(a.double(), b, rtol=1.01 * ULP, atol=float(ULP * b.abs().max()))


@pytest.mark.parametrize("name", [name for name in PRODUCTS if "transpose" not in name])  # whose overlaps torch rounds
def test_it_is_what_torch_s_own_kernels_compute_to_a_unit_in_the_last_place(name):
    function, *shapes = PRODUCTS[name]
    draw = torch.Generator().manual_seed(1)
    given = [torch.randn(shape, generator=draw) for shape in shapes]
    with torch.autocast("cpu", torch.bfloat16):
        own = function(*given)
        with Widened():
            found = function(*given)
    assert own.dtype == found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), own.float(), rtol=2 * ULP, atol=0.02)


def test_a_processor_says_whether_products_are_widened(net, monkeypatch):
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    passed = []
    for fast in (False, True):
        monkeypatch.setattr(precision, "NATIVE", fast)
        monkeypatch.setattr(Widened, "__enter__", lambda self, fast=fast: passed.append(fast))
        monkeypatch.setattr(Widened, "__exit__", lambda *_: None)
        within(net, "bfloat16")(x)
    assert passed == [False]


def test_what_autocast_leaves_alone_is_left_alone():
    a = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16), Widened():
        assert torch.equal(a.double() @ a.double(), a.double().mm(a.double()))
        assert (a.double() @ a.double()).dtype == torch.float64
        assert (a.long() @ a.long()).dtype == torch.int64
        assert (a + a).dtype == torch.float32
        with exact("cpu"):
            assert torch.equal(a @ a, torch.mm(a, a)) and (a @ a).dtype == torch.float32


def test_many_nets_at_once_are_each_alone(monkeypatch):
    monkeypatch.setattr(precision, "NATIVE", False)
    draw = torch.Generator().manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.GroupNorm(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
    )
    x = torch.randn(4, 3, 8, 8, generator=draw)
    stacked = {name: torch.randn(2, *p.shape, generator=draw) for name, p in net.named_parameters()}

    def loss(own):
        return within(lambda x: functional_call(net, own, x), "bfloat16")(x).square().mean()

    together = vmap(grad(loss))(stacked)
    for i in range(2):
        for name, alone in grad(loss)({name: p[i] for name, p in stacked.items()}).items():
            torch.testing.assert_close(together[name][i], alone, rtol=0.02, atol=0.02 * float(alone.abs().max()))


def test_a_graph_rounds_where_the_plain_pass_does(net, monkeypatch):
    """Inductor computes what it fuses in float32 and takes no account of casts that cancel, unless told to."""
    monkeypatch.setattr(precision, "NATIVE", False)
    monkeypatch.setattr("decoct.nets.compiled.NATIVE", False)
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain, half = net(x), within(net, "bfloat16")(x)
    compiled = graph(lambda x: within(net, "bfloat16")(x))(x)
    apart = (plain - half).norm()
    assert (compiled - half).norm() < (0.2 if rounds() else 1.5) * apart
