"""RDED against a rewrite that crops, scores and sorts one crop at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms.v2 import functional as tv

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.data.dataset import load_data
from decoct.data.sources.imagenette import WNIDS, Imagenette
from decoct.methods._shared.patches import square_boxes
from decoct.methods.coresets.rded_crops import RDEDCrops
from decoct.methods.decoupled.rded import RDED
from decoct.needs.teacher import Teacher


def brute_force(box, c, keep, factor, candidates, crops, root):
    """The kept crops as floats from 0 to 255, easy to hard."""
    size = box.data.size
    side, gap = size // factor, size - size // factor
    rng = np.random.default_rng(seed(root, "rded", c))
    rows = rng.permutation(np.flatnonzero(box.data.train.labels == c))[:candidates]
    boxes = square_boxes(rng.random((len(rows), crops, 3)), [(size, size)] * len(rows), (0.08, 1))
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
    assert draft.notes == {"classes_short_of_candidates": pytest.approx(1 / 3), "crops_of_originals": 0}
    assert np.abs(draft.images[8:] - brute_force(box, 2, 4, 1, 10, 2, root=5).numpy()).max() <= 0.51
    assert RDED(candidates=10)(box.inputs(4)).notes["classes_short_of_candidates"] == 0


def test_too_few_images_for_the_crops_is_an_error_that_says_what_to_lower(toy):
    with pytest.raises(DecoctError, match=r"class 'a' has 40 images.*44 crops: lower --ipc or factor"):
        RDED(factor=2)(toy().inputs(11))
    with pytest.raises(UsageError, match="lower factor"):
        RDED(factor=9)(toy().inputs(1))


def test_originals_of_data_that_have_none_are_an_error_that_says_what_to_do(toy):
    for method in (RDED, RDEDCrops):
        with pytest.raises(UsageError, match=r"only the squares of 8 px in their cache: leave pictures out"):
            method(pictures="originals")(toy().inputs(1))
    box = toy()
    cached = RDED(pictures="cached")(box.inputs(2))
    assert (cached.images == RDED()(box.inputs(2)).images).all()


@pytest.mark.parametrize("factor", [1, 2])
def test_crops_of_pictures_as_they_are_on_disk(factor, toy, tmp_path, monkeypatch):
    """Of 40 × 44 px on disk, crops of images of 16 px are cut; torchvision cuts and resizes them here, one by one."""
    wnids = WNIDS[:3]
    monkeypatch.setattr(Imagenette, "classes", wnids)
    data = load_data(Imagenette(path=str(folders_of(wnids, tmp_path)), size=16, cache=False), tmp_path / "c", workers=1)
    teacher = toy(16, 3).teacher
    inputs = Inputs(data, Budget(ipc=2), 4, teachers={"teacher": teacher})
    method = RDED(factor=factor, candidates=9, crops=3, batch=4)
    draft, side, keep = method(inputs), 16 // factor, 2 * factor**2
    assert draft.notes["crops_of_originals"] == 1
    for c in range(3):
        rng = np.random.default_rng(seed(4, "rded", c))
        rows, best = rng.permutation(np.flatnonzero(data.train.labels == c))[:9], []
        boxes = square_boxes(rng.random((len(rows), 3, 3)), [(40, 44)] * len(rows), (0.08, 1))
        for row, places in zip(rows, boxes.tolist(), strict=True):
            picture = torch.from_numpy(np.array(Image.open(tmp_path / "raw" / data.train.files[row]))).permute(2, 0, 1)
            assert picture.shape == (3, 40, 44)
            for place in places:
                part = tv.resized_crop(picture.float(), *place, [side, side], antialias=True)
                x = F.pad(tv.normalize(part / 255, data.mean, data.std), [(16 - side) // 2] * 4)
                with torch.no_grad():
                    best.append((F.cross_entropy(teacher(x[None]), torch.tensor([c])).item(), row, part))
        first = {row: min((b for b in best if b[1] == row), key=lambda b: b[0]) for row in rows}
        tiles = [part for _, _, part in sorted(first.values(), key=lambda b: b[0])[:keep]]
        for j, image in enumerate(draft.images[draft.labels == c]):
            for k in range(factor**2):
                y, x = (side * place for place in divmod(k, factor))
                assert np.abs(image[:, y : y + side, x : x + side] - tiles[2 * k + j].numpy()).max() <= 0.51
    cached = RDED(factor=factor, candidates=9, crops=3, pictures="cached")(inputs)
    assert cached.notes["crops_of_originals"] == 0 and (cached.images != draft.images).any()
    whole = RDED(factor=factor, candidates=9, crops=3, batch=1000)(inputs)
    assert (whole.images == draft.images).all()  # how many are read at a time changes nothing


def folders_of(wnids, root):
    """Class folders of JPEGs of 40 × 44 px, twelve in train and two in val of each class."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 2)):
        for c, wnid in enumerate(wnids):
            folder = root / "raw" / split / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                name = f"{wnid}_{i}.JPEG" if split == "train" else f"ILSVRC2012_val_{100 * c + i + 1:08d}.JPEG"
                coarse = Image.fromarray(rng.integers(0, 256, (10, 11, 3), dtype=np.uint8))
                coarse.resize((44, 40), Image.Resampling.BICUBIC).save(folder / name, quality=95)
    return root / "raw"


@pytest.mark.parametrize("fields", [{"scale": (0, 1)}, {"scale": (0.5, 0.2)}, {"factor": 0}, {"crops": 0}])
def test_fields_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(ValidationError):
        RDED(**fields)


def test_it_needs_its_teacher():
    assert RDED(teacher="resnet18").needs() == (Teacher(net="resnet18"),)
