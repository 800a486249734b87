"""Images on the device and on the host give the same batches; where they lie depends on the room."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.training import images as module
from decoct.training.batches import Batches
from decoct.training.images import HostImages, Images, free, tensor
from decoct.training.recipe import Recipe

PLAIN = Recipe(steps=20, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")


def some(n=10, channels=3, size=6, dtype=torch.uint8, seed=0):
    images = torch.randint(0, 256, (n, channels, size, size), generator=torch.Generator().manual_seed(seed))
    return images.to(torch.uint8) if dtype == torch.uint8 else images / 255


def held(images, device="cpu", pad=0, room=None):
    channels = images.shape[1]
    return Images.of(images, (0.4, 0.5, 0.3)[:channels], (0.3, 0.2, 0.25)[:channels], device, pad, room)


@settings(deadline=None, max_examples=30)
@given(
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    pad=st.integers(0, 2),
    flip=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_rows_and_crops_are_the_same_from_the_host_and_from_the_device(channels, dtype, pad, flip, seed):
    images, generator = some(channels=channels, dtype=dtype), torch.Generator().manual_seed(seed)
    device, host = held(images, pad=pad), held(images, pad=pad, room=0)
    assert (device.padded is not None) == (pad > 0) and host.padded is None
    rows = torch.randint(0, 10, (7,), generator=generator)
    corners = torch.randint(0, 2 * pad + 1, (7, 2), generator=generator)
    mirrored = torch.rand(7, generator=generator) < 0.5 if flip else None
    for each in (device, host):
        assert torch.equal(each.rows(rows), images[rows])
        crops = each.cropped(rows, corners, pad, mirrored)
        assert crops.dtype == dtype
        for i, (row, (top, left)) in enumerate(zip(rows.tolist(), corners.tolist(), strict=True)):
            crop = F.pad(images[row], [pad] * 4)[:, top : top + 6, left : left + 6]
            assert torch.equal(crops[i], crop.flip(2) if flip and mirrored[i] else crop)


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"pad": 1, "flip": True, "cutmix": 1.0},
        {"scale": (0.2, 1.0), "flip": True},
        {"shuffle": 2, "pad": 1, "jitter": 0.4, "lighting": 0.1, "mixup": 0.8},
        {"dsa": True},
    ],
)
def test_a_training_gets_the_same_batches_from_the_host(small_set, monkeypatch, kind):
    data, recipe = small_set(channels=3), replace(PLAIN, **kind)
    usual = list(Batches(data, recipe, seed=0))
    monkeypatch.setattr(module, "free", lambda device: 0)
    again = Batches(data, recipe, seed=0)
    assert again.images.padded is None
    for one, other in zip(usual, again, strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def test_normalised_images_have_mean_0_and_deviation_1_by_the_numbers_given():
    data = some(dtype=torch.uint8)
    for images in (data, data / 255):
        each = held(images)
        assert each.white == (255 if images is data else 1)
        assert (each.size, len(each)) == (6, 10)
        expected = [(data[:, c] / 255 - m) / s for c, (m, s) in enumerate([(0.4, 0.3), (0.5, 0.2), (0.3, 0.25)])]
        torch.testing.assert_close(each.normalise(images), torch.stack(expected, 1))


def test_the_border_counts_towards_the_room_that_is_needed():
    images = some()  # 10 · 3 · 6 · 6 bytes; padded by 2, 10 · 3 · 10 · 10 more
    assert held(images, pad=2, room=1080 + 3000).padded is not None
    assert held(images, pad=2, room=1080 + 2999).padded is None
    assert held(images, "meta", room=1080).stored.device.type == "meta"


def test_what_does_not_fit_on_a_device_stays_on_the_host_and_says_so():
    images = some()
    with pytest.warns(HostImages, match=r"GiB of training images do not fit on meta: they stay in the host's memory"):
        each = held(images, "meta", pad=1, room=0)
    assert each.stored is images and each.padded is None
    assert each.mean.device.type == each.rows(torch.tensor([3])).device.type == "meta"
    crops = each.cropped(torch.tensor([3, 4]), torch.tensor([[0, 2], [1, 1]]), 1, torch.tensor([True, False]))
    assert crops.device.type == "meta" and crops.shape == (2, 3, 6, 6)


def test_what_fits_moves_and_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        each = held(some(), "meta", pad=1)
    assert each.stored.device.type == each.padded.device.type == "meta"


def test_on_the_cpu_the_images_are_where_they_belong_and_nothing_is_said():
    images = some()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for room in (None, 0):
            assert held(images, room=room).stored is images


def test_a_part_of_what_is_free_is_for_images(monkeypatch):
    class Memory:
        available = 1000

    monkeypatch.setattr(module.memory.psutil, "virtual_memory", Memory)
    assert free(torch.device("cpu")) == 600


@pytest.mark.parametrize("pad", [0, 2])
@pytest.mark.parametrize("room", [None, 0])
def test_images_may_be_a_memory_map_and_are_not_copied_whole(tmp_path, pad, room):
    images = some()
    np.save(tmp_path / "images.npy", images.numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="c")
    each = held(torch.from_numpy(mapped), pad=pad, room=room)
    assert each.stored.data_ptr() == mapped.ctypes.data
    rows, corners = torch.tensor([9, 0, 9]), torch.tensor([[0, 0], [pad, 0], [2 * pad, pad]])
    usual = held(images, pad=pad)
    assert torch.equal(each.rows(rows), usual.rows(rows))
    assert torch.equal(each.cropped(rows, corners, pad, None), usual.cropped(rows, corners, pad, None))
    assert np.array_equal(mapped, images.numpy())


@pytest.mark.parametrize("limit", [10 * 3 * 6 * 6, 10 * 3 * 6 * 6 - 1])
def test_small_maps_are_read_and_large_ones_stay_maps_without_a_word(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(module, "COPIED", limit)
    np.save(tmp_path / "images.npy", some().numpy())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    images = tensor(mapped)
    assert torch.equal(images, some())
    assert (images.data_ptr() == mapped.ctypes.data) == (limit < mapped.nbytes)


def test_images_whose_room_another_job_has_taken_meanwhile_stay_on_the_host(monkeypatch):
    """Jobs that share a device look at what is free at the same time, and each finds room."""

    def taken(*args):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    images, rows, corners = some(), torch.arange(3), torch.zeros(3, 2, dtype=torch.int64)
    usual = held(images, pad=1)
    with monkeypatch.context() as patch:
        patch.setattr(module.F, "pad", taken)
        late = held(images, pad=1)
    assert usual.padded is not None and late.padded is None
    assert torch.equal(late.cropped(rows, corners, 1, None), usual.cropped(rows, corners, 1, None))
    monkeypatch.setattr(module.F, "pad", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        held(images, pad=1)
