"""RDED against a rewrite that crops, scores and sorts one crop at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torchvision.transforms.v2 import functional as tv

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.methods._shared.patches import square_boxes
from decoct.methods.decoupled.rded import RDED
from decoct.needs.teacher import Teacher


def brute_force(box, c, keep, factor, candidates, crops, root):
    """The kept crops as floats from 0 to 255, easy to hard."""
    size = box.data.size
    side, gap = size // factor, size - size // factor
    rng = np.random.default_rng(seed(root, "rded", c))
    rows = rng.permutation(np.flatnonzero(box.data.train.labels == c))[:candidates]
    boxes = square_boxes((len(rows), crops), size, (0.08, 1), rng)
    best = []
    for row, places in zip(rows, boxes.tolist(), strict=True):
        scored = []
        for place in places:
            part = tv.resized_crop(torch.from_numpy(box.data.train.images[row]).float(), *place, [side, side])
            x = F.pad((part / 255 - 0.5) / 0.25, (gap // 2, gap - gap // 2, gap // 2, gap - gap // 2))
            with torch.no_grad():
                scored.append((F.cross_entropy(box.teacher(x[None]), torch.tensor([c])).item(), part))
        best.append(min(scored, key=lambda s: s[0]))
    return torch.stack([part for _, part in sorted(best, key=lambda s: s[0])[:keep]])


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (9, 3)])
def test_at_factor_one_an_image_is_a_crop_in_order_of_difficulty(size, channels, toy):
    box = toy(size, channels)
    draft = RDED(candidates=30, crops=3, batch=20)(box.inputs(6, seed=4))
    assert draft.images.dtype == np.uint8 and draft.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    for c in range(3):
        expected = brute_force(box, c, 6, 1, 30, 3, root=4)
        assert np.abs(draft.images[draft.labels == c] - expected.numpy()).max() <= 0.51


def test_at_factor_two_part_k_of_image_j_has_rank_k_ipc_plus_j(toy):
    box = toy(8)
    draft = RDED(factor=2, candidates=30, crops=2)(box.inputs(3))
    for c in range(3):
        crops = brute_force(box, c, 12, 2, 30, 2, root=5)
        for j, image in enumerate(draft.images[draft.labels == c]):
            for k, (y, x) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
                assert np.abs(image[:, y : y + 4, x : x + 4] - crops[k * 3 + j].numpy()).max() <= 0.51


def test_mosaics_of_odd_images_fill_them(toy):
    draft = RDED(factor=2)(toy(9, 3).inputs(2))
    assert draft.images.shape == (6, 3, 9, 9)
    assert draft.images[:, :, -1, -1].any()


def test_factor_follows_the_resolution(toy):
    def pick(size, **fields):
        return RDED(candidates=8, crops=1, **fields)(toy(size, per_class=8, classes=2).inputs(1)).images

    assert (pick(64) == pick(64, factor=1)).all()
    assert (pick(65) == pick(65, factor=2)).all()


@pytest.mark.parametrize(("fields", "tiles"), [({}, 1), ({"factor": 1}, 1), ({"factor": 2}, 2), ({"factor": 3}, 3)])
def test_a_set_says_how_many_tiles_its_images_are_made_of(toy, fields, tiles):
    assert RDED(candidates=10, crops=1, **fields)(toy(9, 3).inputs(1)).mosaic == tiles


def test_above_64_px_a_set_is_of_mosaics(toy):
    draft = RDED(candidates=8, crops=1)(toy(65, per_class=8, classes=2).inputs(1))
    assert draft.mosaic == 2


def test_a_smaller_set_is_the_beginning_of_a_larger_one(toy):
    box = toy()
    small, large = (RDED()(box.inputs(ipc)).images.reshape(3, ipc, 1, 8, 8) for ipc in (5, 20))
    assert (large[:, :5] == small).all()


def test_same_seed_same_images_and_another_seed_others(toy):
    box = toy()
    first, again, other = (RDED(candidates=20)(box.inputs(5, seed)).images for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_all_images_are_candidates_where_fewer_would_not_fill_the_set(toy):
    box = toy()
    assert len(RDED(candidates=5)(box.inputs(30)).images) == 90
    assert (RDED(candidates=5)(box.inputs(30)).images == RDED(candidates=300)(box.inputs(30)).images).all()


def test_classes_with_fewer_images_than_candidates_give_all_and_are_told(toy):
    box = toy()
    small = box.data.train.labels == 2
    box.data.train.labels[np.flatnonzero(small)[10:]] = 1
    draft = RDED(candidates=20, crops=2)(box.inputs(4))
    assert draft.notes == {"classes_short_of_candidates": pytest.approx(1 / 3)}
    assert np.abs(draft.images[8:] - brute_force(box, 2, 4, 1, 10, 2, root=5).numpy()).max() <= 0.51
    assert RDED(candidates=10)(box.inputs(4)).notes == {"classes_short_of_candidates": 0}


def test_too_few_images_for_the_crops_is_an_error_that_says_what_to_lower(toy):
    with pytest.raises(DecoctError, match=r"class 'a' has 40 images.*44 crops: lower --ipc or factor"):
        RDED(factor=2)(toy().inputs(11))
    with pytest.raises(UsageError, match="lower factor"):
        RDED(factor=9)(toy().inputs(1))


@pytest.mark.parametrize("fields", [{"scale": (0, 1)}, {"scale": (0.5, 0.2)}, {"factor": 0}, {"crops": 0}])
def test_fields_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(ValidationError):
        RDED(**fields)


def test_it_needs_its_teacher():
    assert RDED(teacher="resnet18").needs() == (Teacher(net="resnet18"),)
