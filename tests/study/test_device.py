"""Words for devices: what this machine has, and one line that says why it has no more."""

from types import SimpleNamespace

import pytest
import torch

from decoct.core.errors import UsageError
from decoct.study.device import check_precision, resolve


@pytest.fixture
def machine(monkeypatch):
    """``machine(gpus=2, mps=False)``: what torch says that there is."""

    def make(gpus=0, mps=False, cuda="13.0", visible=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


def test_what_is_there_is_taken(machine):
    machine()
    assert [resolve(word) for word in ("auto", "cpu", "cpu:0")] == ["cpu"] * 3
    machine(mps=True)
    assert [resolve(word) for word in ("auto", "mps", "mps:0", "cpu")] == ["mps", "mps", "mps", "cpu"]
    machine(gpus=2, mps=True)
    words = ("auto", "cuda", "cuda:0", "cuda:1", torch.device("cuda", 1))
    assert [resolve(word) for word in words] == ["cuda", "cuda", "cuda:0", "cuda:1", "cuda:1"]


@pytest.mark.parametrize(
    "word", ["abacus", "CUDA", "cuda:", "cuda:-1", "cuda:01", "cuda:1:1", "meta", "xpu", "", " cpu"]
)
def test_a_word_that_means_nothing(word, machine):
    machine(gpus=2)
    with pytest.raises(UsageError, match=f"no device is called '{word}': auto, cpu, cuda, cuda:1 or mps"):
        resolve(word)


@pytest.mark.parametrize(
    ("here", "word", "line"),
    [
        (
            {"cuda": None},
            "cuda",
            r"no device 'cuda': torch \S+ is a build without CUDA, install one with it; auto takes",
        ),
        ({"gpus": 1}, "cuda:1", "there is cuda:0 alone; numbers count within CUDA_VISIBLE_DEVICES, which is not set"),
        ({"gpus": 4, "visible": "4,5,6,7"}, "cuda:4", "there is cuda:0 to cuda:3; .* which is '4,5,6,7'"),
        ({"gpus": 4}, "cuda:300", "no device 'cuda:300': there is cuda:0 to cuda:3"),  # which torch takes for 44
        ({}, "cpu:1", "no device 'cpu:1': there is one, cpu"),
        ({}, "mps", "no device 'mps': only Macs have it; auto takes what is available"),
        ({"mps": True}, "mps:1", "no device 'mps:1': there is one, mps"),
    ],
)
def test_a_device_that_is_not_there(here, word, line, machine):
    machine(**here)
    with pytest.raises(UsageError, match=line):
        resolve(word)


@pytest.mark.parametrize(
    ("error", "visible", "why"),
    [
        (
            RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and …"),
            None,
            r"Found no NVIDIA driver on your system \(CUDA_VISIBLE_DEVICES is not set\); auto takes",
        ),
        (RuntimeError("No CUDA GPUs are available"), "", r"No CUDA GPUs are available \(CUDA_VISIBLE_DEVICES is ''\)"),
        (
            RuntimeError("No CUDA GPUs are available"),
            "7",
            r"No CUDA GPUs are available \(CUDA_VISIBLE_DEVICES is '7'\)",
        ),
        (None, "-1", r"no GPU is visible \(CUDA_VISIBLE_DEVICES is '-1'\)"),
    ],
)
def test_a_build_with_cuda_that_sees_no_gpu_says_why(error, visible, why, machine, monkeypatch):
    def init():
        if error is not None:
            raise error

    machine(visible=visible)
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(UsageError, match="no device 'cuda:1': " + why):
        resolve("cuda:1")


def test_on_a_mac_whose_gpu_torch_cannot_use(machine, monkeypatch):
    machine()
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    with pytest.raises(UsageError, match="no device 'mps': this Mac has no GPU that torch can use"):
        resolve("mps")


@pytest.fixture
def gpus(monkeypatch):
    """An A100 and a V100, as torch asks for them."""
    known = [SimpleNamespace(major=8, name="A100"), SimpleNamespace(major=7, name="V100")]
    now = [0]

    def exchange(number):
        before, now[0] = now[0], number
        return before

    made_up = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: now[0],
        "get_device_properties": lambda device: known[device],
        "get_device_name": lambda: known[now[0]].name,
        "_exchange_device": exchange,
        "_maybe_exchange_device": exchange,
    }
    for name, function in made_up.items():
        monkeypatch.setattr(torch.cuda, name, function)


def test_bfloat16_takes_a_gpu_that_has_it(gpus):
    for device in ("cpu", "cuda", "cuda:0"):
        check_precision(device, "bfloat16")
    check_precision("cuda:1", "float32")
    line = 'cuda:1, V100, below compute capability 8.0 does not compute in bfloat16: take precision = "float32"'
    with pytest.raises(UsageError, match=line):
        check_precision("cuda:1", "bfloat16")


@pytest.mark.parametrize("new", [True, False])
def test_bfloat16_takes_macos_14(new, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: (major, minor) < (14, 1) and new)
    check_precision("mps", "float32")
    if new:
        check_precision("mps", "bfloat16")
    else:
        with pytest.raises(UsageError, match="mps before macOS 14 does not compute in bfloat16"):
            check_precision("mps", "bfloat16")
