"""ZCA whitening against its definition, on the way to disk and back, and from pixels to what nets see."""

import numpy as np
import pytest
import torch

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data, open_dataset
from decoct.data.pixels import Pixels
from decoct.data.whitening import WHITENING, Whitening
from decoct.training.images import Images

SHAPE = (3, 4, 4)


def smooth(n, seed=0):
    """Images whose pixels hang together."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 200, (n, 3, 2, 2))
    return (low.repeat(2, 2).repeat(2, 3) + rng.integers(0, 56, (n, *SHAPE))).astype(np.uint8)


def by_definition(images, epsilon=0.1):
    """Mean, matrix and inverse by the singular values of the centred images, which are no covariance."""
    x = images.reshape(len(images), -1) / 255
    _, values, rows = np.linalg.svd(x - x.mean(0))
    variances = np.zeros(x.shape[1])
    variances[: len(values)] = values**2 / (len(x) - 1)
    root = np.sqrt(variances + epsilon)
    return x.mean(0), rows.T / root @ rows, rows.T * root @ rows


def test_it_is_the_symmetric_root_of_the_covariance():
    images = smooth(300)
    made = Whitening.fit([images[:100], images[100:101], images[101:]], SHAPE)
    for found, expected in zip((made.mean, made.matrix, made.inverse), by_definition(images), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_whitened_images_have_the_variances_that_the_epsilon_leaves():
    images = smooth(300)
    z = Whitening.fit([images], SHAPE).to("cpu")(torch.from_numpy(images) / 255).flatten(1).double().numpy()
    variances = np.linalg.eigvalsh(np.cov(images.reshape(300, -1) / 255, rowvar=False))
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(z, rowvar=False)), variances / (variances + 0.1), atol=1e-5)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)


def test_a_constant_pixel_is_no_reason_to_fail():
    images = smooth(50)
    images[:, 0, 0, 0] = 7
    z = Whitening.fit([images], SHAPE).to("cpu")(torch.from_numpy(images) / 255)
    assert z.isfinite().all() and z[:, 0, 0, 0].abs().max() < 1e-4


def test_what_was_whitened_comes_back():
    images = smooth(300)
    made = Whitening.fit([images], SHAPE).to("cpu")
    learnt = 3 * torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    assert (made(made.undo(learnt)) - learnt).abs().max() < 1e-5
    assert (made.undo(made(torch.from_numpy(images) / 255)) - torch.from_numpy(images) / 255).abs().max() < 1e-5


def test_one_image_has_no_covariance():
    with pytest.raises(DecoctError, match="zca needs at least two train images"):
        Whitening.fit([smooth(1)], SHAPE)


@pytest.fixture
def trees(grow):
    return grow({"cat": 12, "dog": 12}), grow({"cat": 12, "dog": 12}, name="others", seed=1)


def test_a_data_set_keeps_the_whitening_of_its_train_split(trees, tmp_path):
    plain, white = (load_data(f"folder:{trees[0]}", tmp_path / "data", zca=zca) for zca in (False, True))
    assert (
        plain.whitening is None and plain.digest != white.digest and (plain.mean, plain.std) == (white.mean, white.std)
    )
    assert np.array_equal(plain.train.images, white.train.images)
    again = open_dataset(white.folder).whitening
    for found, expected in zip(
        (again.mean, again.matrix, again.inverse), by_definition(plain.train.images), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-6)


def test_without_it_a_data_set_is_what_it_always_was(trees, tmp_path):
    first = load_data(f"folder:{trees[0]}", tmp_path / "data")
    assert load_data(f"folder:{trees[0]}", tmp_path / "data", zca=False).folder == first.folder
    assert "zca" not in (first.folder / "data.json").read_text().replace('"zca": false', "")


def test_the_whitening_of_other_data_is_refused(trees, tmp_path):
    mine, other = (load_data(f"folder:{tree}", tmp_path / "data", zca=True) for tree in trees)
    (mine.folder / WHITENING).write_bytes((other.folder / WHITENING).read_bytes())
    with pytest.raises(DecoctError, match="it is the ZCA of other data\ndelete that folder and load the data again"):
        open_dataset(mine.folder)


@pytest.mark.parametrize("blob", [None, b"", b"nothing of the kind"])
def test_a_damaged_whitening_is_an_error(trees, tmp_path, blob):
    data = load_data(f"folder:{trees[0]}", tmp_path / "data", zca=True)
    (data.folder / WHITENING).unlink()
    if blob is not None:
        (data.folder / WHITENING).write_bytes(blob)
    with pytest.raises(DecoctError, match=f"cannot use .*{WHITENING}"):
        open_dataset(data.folder)


def test_large_images_are_refused_before_anything_is_written(grow, tmp_path):
    tree = grow({"cat": 4, "dog": 4}, side=80)
    with pytest.raises(DecoctError, match=r"zca at 80 px takes matrices of 1 GiB: it is for images of at most 64 px"):
        load_data(f"folder:{tree}", tmp_path / "data", zca=True, size=80)
    assert not list((tmp_path / "data").glob("*/whitening*"))


def test_students_see_whitened_images_and_teachers_are_given_normalised_ones(trees, tmp_path):
    data = load_data(f"folder:{trees[0]}", tmp_path / "data", zca=True)
    images = np.array(data.test.images)
    mean, matrix, _ = by_definition(data.train.images)
    whitened = ((images.reshape(len(images), -1) / 255 - mean) @ matrix).reshape(images.shape)
    seen, given = Pixels.seen(data, "cpu"), Pixels.of(data, "cpu")
    np.testing.assert_allclose(seen.normalise(seen.load(images)), whitened, atol=2e-4)
    np.testing.assert_array_equal(seen.truncate(seen.normalise(seen.load(images))), images)
    mean, std = (np.array(v).reshape(-1, 1, 1) for v in (data.mean, data.std))
    np.testing.assert_allclose(given.normalise(given.load(images)), (images / 255 - mean) / std, atol=1e-4)
    for stored in (torch.from_numpy(images), torch.from_numpy(images) / 255):
        batch = Images.of(stored, data.mean, data.std, "cpu", whitening=data.whitening)
        np.testing.assert_allclose(batch.normalise(batch.stored.float()), whitened, atol=2e-4)
