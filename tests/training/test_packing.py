"""Views in few bytes: what is unpacked is what was packed, and it takes as many bytes as one can count."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.data.augment.augment import Mix
from decoct.training.packing import pack, unpack
from decoct.training.recipe import Recipe
from decoct.training.views import TENSORS, Draws, View

PLAIN = Recipe(steps=1, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
KINDS = {
    "nothing": {},
    "corners": {"pad": 4},
    "boxes": {"scale": (0.2, 1.0)},
    "mirrored": {"flip": True},
    "tiles": {"shuffle": 3, "pad": 1},
    "cutmix": {"cutmix": 1.0},
    "mixup": {"mixup": 0.8},
    "all": {"scale": (0.3, 1.0), "flip": True, "shuffle": 2, "cutmix": 1.0},
}


def drawn(sizes, size=28, seed=0, images=1000, **recipe):
    """Views of batches of these sizes."""
    generator = torch.Generator().manual_seed(seed)
    batches = [torch.randint(0, images, (n,), generator=generator) for n in sizes]
    return Draws(replace(PLAIN, **recipe), size, seed)(batches).split()


def unpacked(arrays, sizes, size=28):
    """All batches, each by itself."""
    ends = torch.tensor(sizes).cumsum(0).tolist()
    spans = [slice(end - n, end) for n, end in zip(sizes, ends, strict=True)]
    return [unpack(arrays, span, batch, size) for batch, span in enumerate(spans)]


def same(packed, found):
    """Whether two views of a batch are equal; a batch of one is mixed with itself, which changes nothing."""
    assert found.sizes == packed.sizes
    for name in TENSORS:
        a, b = getattr(packed, name), getattr(found, name)
        assert (a is None) == (b is None), name
        assert a is None or (a.dtype == b.dtype and torch.equal(a, b)), name
    assert len(found.mixes) == len(packed.mixes)
    for a, b in zip(packed.mixes, found.mixes, strict=True):
        if a is None:
            x = torch.rand(*found.sizes, 1, 28, 28)
            assert b.share == 1 and torch.equal(b(x), x)
        else:
            assert torch.equal(a.order, b.order) and (a.share, a.box) == (b.share, b.box)
    return True


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 99))
def test_every_kind_of_view_comes_back(kind, sizes, seed):
    """Batches of any sizes, so that the bits of the mirrored begin and end anywhere in a byte."""
    views = drawn(sizes, seed=seed, **KINDS[kind])
    assert all(map(same, views, unpacked(pack(views), sizes)))


def test_mirrored_images_come_back_across_the_borders_of_bytes():
    sizes = [3, 8, 1, 7, 16, 2]
    bits = torch.arange(37) % 3 == 0
    parts = bits.split(sizes)
    views = [View(torch.arange(n), (n,), mirrored=part) for n, part in zip(sizes, parts, strict=True)]
    arrays = pack(views)
    assert arrays["mirrored"].nbytes == 5
    found = torch.cat([view.mirrored for view in unpacked(arrays, sizes)])
    assert found.dtype == torch.bool and torch.equal(found, bits)


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_batches_of_one_stay_as_they_are(kind):
    for sizes in ([1], [1, 1], [4, 1, 4]):
        views = drawn(sizes, **KINDS[kind])
        assert [mix is None for view in views for mix in view.mixes] == [n == 1 for n in sizes]
        assert all(map(same, views, unpacked(pack(views), sizes)))


def test_a_share_of_mixup_comes_back_to_the_last_bit():
    share = 0.1 + 0.2
    arrays = pack([View(torch.arange(3), (3,), mixes=(Mix(torch.tensor([2, 0, 1]), share),))])
    (mix,) = unpack(arrays, slice(0, 3), 0, 8).mixes
    assert mix.share == share and mix.order.tolist() == [2, 0, 1]


def test_the_share_of_cutmix_follows_from_its_box():
    box = (3, 10, 0, 28)
    arrays = pack([View(torch.arange(3), (3,), mixes=(Mix(torch.tensor([2, 0, 1]), 1 - 7 * 28 / 28**2, box),))])
    assert "shares" not in arrays
    (mix,) = unpack(arrays, slice(0, 3), 0, 28).mixes
    assert (mix.box, mix.share) == (box, 1 - 7 * 28 / 28**2)


@pytest.mark.parametrize(
    ("kind", "images", "size", "a_view", "a_batch"),
    [
        ("nothing", 256, 28, 1, 0),
        ("nothing", 257, 28, 2, 0),
        ("nothing", 70_000, 28, 4, 0),
        ("corners", 256, 28, 1 + 2, 0),
        ("boxes", 256, 224, 1 + 4, 0),
        ("boxes", 256, 512, 1 + 8, 0),  # a side may need two bytes
        ("mirrored", 256, 28, 1 + 1 / 8, 0),
        ("tiles", 256, 28, 1 + 2 + 6, 0),
        ("cutmix", 256, 28, 1 + 1, 4),
        ("mixup", 256, 28, 1 + 1, 8),
    ],
)
def test_bytes_of_views(kind, images, size, a_view, a_batch):
    """A byte of its batch's size besides, for each batch."""
    views = drawn([64] * 8, size=size, images=images, **KINDS[kind])
    views[0].rows[0] = images - 1
    found = sum(array.nbytes for array in pack(views).values())
    assert found == 8 * 64 * a_view + 8 * (1 + a_batch)
