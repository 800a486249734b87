"""The memory of a device: what it has, what is said of it, and work that is halved once where it does not suffice."""

import gc
import weakref
from types import SimpleNamespace

import psutil
import pytest
import torch

from decoct.core.errors import DecoctError
from decoct.nets import room
from decoct.nets.room import Halved, Halving, has, lost, ran_out, told


def of_most(most, seen):
    """Work on so many at a time, and no more."""

    def compute(block):
        seen.append(len(block))
        if len(block) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return list(block)

    return compute


def run(halving, most, *blocks):
    seen, made = [], []
    for block in blocks:
        for part in halving(of_most(most, seen), block):
            made += part
    return seen, made


def test_what_fits_is_computed_at_once():
    assert run(Halving("x", "cpu"), 10, range(10), range(3), range(1)) == ([10, 3, 1], [*range(10), *range(3), 0])


def test_the_first_block_that_does_not_fit_and_all_after_it_are_computed_in_halves():
    halving = Halving("x", "cpu", each=2)
    with pytest.warns(
        Halved, match="cpu ran out of memory at x, 18 images at a time: from here on 10 at a time"
    ) as told:
        assert run(halving, 5, range(5), range(9), range(9), range(2))[0] == [5, 9, 5, 4, 5, 4, 2]
    assert len(told) == 1


@pytest.mark.parametrize(
    ("block", "field", "advice"),
    [
        (range(8), "batch", "4 images at a time; cpu has .* GiB\nbatch = 2 may fit"),
        (range(8), "", "4 images at a time; cpu has .* GiB\nsomething else"),
        (range(2), "batch", "1 image at a time; cpu has .* GiB\nsomething else"),
    ],
)
def test_half_that_does_not_fit_either_is_an_error_with_what_may_fit(block, field, advice):
    with pytest.warns(Halved), pytest.raises(DecoctError, match=advice):
        run(Halving("x", "cpu", field, otherwise="something else"), 0, block)


def test_one_cannot_be_halved():
    with pytest.raises(DecoctError, match=r"at x, 1 image at a time; cpu has .* GiB\ntake a smaller net"):
        run(Halving("x", "cpu"), 0, range(1))


def test_other_errors_come_through_as_they_are():
    def broken(block):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(Halving("x", "cpu")(broken, range(4)))
    with pytest.raises(RuntimeError, match="shapes do not fit"), told("x", "cpu", "y"):
        broken(range(4))


def test_what_the_whole_block_held_is_gone_before_its_halves_are_computed():
    """The error has the frames, and these the tensors: halves would find the device as full as it was."""
    held = []

    def compute(block):
        maps = torch.zeros(len(block))
        if len(block) > 2:
            held.append(weakref.ref(maps))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert all(each() is None for each in held)
        return len(maps)

    gc.disable()
    try:
        with pytest.warns(Halved):
            assert list(Halving("x", "cpu")(compute, range(4))) == [2, 2]
    finally:
        gc.enable()
    assert held


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.50 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_memory_that_runs_out_has_several_words(error, out):
    assert ran_out(error) is out


def test_of_a_gpu_it_says_what_this_job_took_and_what_others_have(monkeypatch):
    gib = 2**30
    gpu = {
        "get_device_properties": lambda device: SimpleNamespace(total_memory=40 * gib),
        "mem_get_info": lambda device: (gib, 40 * gib),
        "memory_reserved": lambda device: 9 * gib,
        "max_memory_allocated": {"cuda:1": 8 * gib}.__getitem__,
    }
    for name, function in gpu.items():
        monkeypatch.setattr(torch.cuda, name, function)
    assert has("cuda:1") == "cuda:1 has 40.0 GiB, this job took 8.0 at most, other processes have 30.0"
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 38 * gib)
    assert has("cuda:1") == "cuda:1 has 40.0 GiB, this job took 8.0 at most"


@pytest.mark.parametrize(
    ("there", "error", "why"),
    [
        (True, None, ""),
        (False, None, "no GPU is visible any more"),
        (True, torch.OutOfMemoryError("CUDA out of memory"), ""),  # others have it all: a smaller job may fit
        (True, RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with …"), "illegal memory"),
    ],
)
def test_a_gpu_is_lost_where_it_computes_nothing_at_all(there, error, why, monkeypatch):
    def zeros(*shape, device):
        assert device == "cuda:1"
        if error is not None:
            raise error
        return torch.ones(*shape)

    monkeypatch.setattr(room.torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(room.torch, "zeros", zeros)
    assert why in (said := lost("cuda:1")) and bool(said) == bool(why) and "\n" not in said
    assert lost("cpu") == lost("mps") == ""


def test_the_machine_has_what_the_system_says_unless_a_container_may_use_less(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LIMIT", tmp_path / "limit")
    total = psutil.virtual_memory().total
    assert room.room("cpu") == total
    room.LIMIT.write_text("max\n")
    assert room.room("cpu") == total
    room.LIMIT.write_text("4096\n")
    assert room.room("cpu") == 4096


def test_what_autograd_holds_is_counted_once_a_storage_on_any_device():
    for device in ("cpu", "meta"):
        x, weight = (torch.ones(*shape, device=device, requires_grad=True) for shape in ((5, 4), (4, 3)))
        with room.Held() as graph:
            y = x @ weight
            z = (y.exp() * y.view(-1).view(5, 3)).sum()
        assert sorted(graph.besides([])) == [4 * 12, 4 * 15, 4 * 15, 4 * 20]  # weight, y, its exponential and x
        assert sorted(graph.besides([weight, x])) == [4 * 15, 4 * 15] and z.shape == ()
