"""Equal and nearly equal pictures: against every pair compared in plain loops, and with copies that were planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shrinking.pictures import drawings, noisy, pool_of

from decoct.shrinking.faults import alike, looks
from decoct.shrinking.faults.looks import Looks
from decoct.shrinking.faults.twins import equal, nearly_equal, preferred


def naive_apart(a, b, near):
    """Difference of two pictures by the rule, infinity where they are not comparable."""
    first, second = (alike.blocks(image[None])[0].astype(np.float16).astype(np.float64) for image in (a, b))
    if min(first.std(), second.std()) < alike.FLAT:
        return np.inf
    coarse = [each.reshape(len(each), 6, 2, 6, 2).mean((2, 4)).ravel() for each in (first, second)]
    ratio = first.std() / second.std()
    if np.corrcoef(*coarse)[0, 1] < looks.COARSE or abs(first.mean() - second.mean()) > alike.LIGHT:
        return np.inf
    if max(ratio, 1 / ratio) > alike.CONTRAST:
        return np.inf

    def largest(x, y):
        return np.abs((x - x.mean()) / x.std() - (y - y.mean()) / y.std()).max()

    best = largest(first, second)
    for most, shape in ((looks.CROPPED, looks.ROUGH), (looks.FINER, looks.FINE)):
        if near < best <= most * near:
            crops = [alike.crops(image[None], *shape)[0].astype(np.float64) for image in (a, b)]
            best = min(best, *(largest(x, second) for x in crops[0]), *(largest(x, first) for x in crops[1]))
    return best


def naive_groups(images, order, near):
    """Each image in order joins the first that stays and is near enough."""
    groups = []
    for row in order:
        for group in groups:
            if naive_apart(images[group[0]], images[row], near) <= near:
                group.append(row)
                break
        else:
            groups.append([row])
    return sorted(group for group in groups if len(group) > 1)


def family(seed, n, channels=3):
    """Pictures, some of which are others with noise, another light, or a border less."""
    rng = np.random.default_rng(seed)
    images = list(drawings(max(1, n // 3), seed, channels))
    while len(images) < n:
        of = images[rng.integers(len(images))].astype(np.float64)
        changed = [
            lambda x: noisy(x.astype(np.uint8), int(rng.integers(2**31)), 8),
            lambda x: np.clip(x * rng.uniform(0.7, 1.3), 0, 255),
            lambda x: np.roll(x, int(rng.integers(-3, 4)), axis=2),
            lambda x: np.full_like(x, 250),
        ][rng.integers(4)](of)
        images.append(np.asarray(changed, np.uint8))
    return np.stack(images)[rng.permutation(n)]


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 24), st.sampled_from([1, 3]), st.sampled_from([0.1, 0.25, 0.6]))
def test_groups_are_those_of_every_pair_compared(seed, n, channels, near):
    images, order = family(seed, n, channels), np.random.default_rng(seed).permutation(n)
    found = nearly_equal(Looks(images), order, near)
    assert sorted(group.rows.tolist() for group in found) == naive_groups(images, order, near)
    for group in found:
        expected = [naive_apart(images[group.rows[0]], images[row], near) for row in group.rows[1:]]
        assert group.apart[0] == 0 and np.allclose(group.apart[1:], expected, atol=2e-3)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_beyond_all_pairs_every_image_that_goes_is_near_to_one_that_stays(seed):
    images, order = family(seed, 80), np.random.default_rng(seed).permutation(80)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Looks, "ALL", 0)
        found = nearly_equal(Looks(images), order)
    rank = np.argsort(order)
    rows = np.concatenate([np.empty(0, np.int64), *(group.rows for group in found)])
    assert len(set(rows.tolist())) == len(rows)
    for group in found:
        assert (np.diff(rank[group.rows]) > 0).all()
        assert all(naive_apart(images[group.rows[0]], images[row], 0.25) <= 0.2501 for row in group.rows[1:])
    exact = sum(len(group) - 1 for group in naive_groups(images, order, 0.25))
    assert len(rows) - len(found) >= 0.9 * exact


def test_a_mass_of_copies_larger_than_any_window_leaves_one(monkeypatch):
    monkeypatch.setattr(Looks, "ALL", 0)
    few = drawings(300)
    images = np.concatenate([few, [noisy(few[0], seed) for seed in range(400)]])
    (group,) = nearly_equal(Looks(images), np.arange(len(images)))
    assert group.rows.tolist() == [0, *range(300, 700)]
    assert group.apart.max() <= 0.25


def test_no_chains(monkeypatch):
    """b is near to a and c to b, but not c to a: c stays."""
    a = drawings(1)[0].astype(np.float64)
    shade = np.linspace(-1, 1, 32)[None, None] * np.ones_like(a)
    step = 12.0
    images = np.clip(np.stack([a, a + step * shade, a + 2 * step * shade]), 0, 255).astype(np.uint8)
    images, others = np.concatenate([images, drawings(200, 1)]), list(range(3, 203))
    distance = [naive_apart(images[i], images[j], 0.6) for i, j in ((0, 1), (1, 2), (0, 2))]
    near = (max(distance[:2]) + distance[2]) / 2
    assert max(distance[:2]) < near < distance[2]
    for limit in (Looks.ALL, 0):
        monkeypatch.setattr(Looks, "ALL", limit)
        found = [nearly_equal(Looks(images), np.array([*first, 2, *others]), near) for first in ((0, 1), (1, 0))]
        assert [[group.rows.tolist() for group in groups] for groups in found] == [[[0, 1]], [[1, 0, 2]]]


@pytest.mark.parametrize(
    "images",
    [
        np.full((40, 3, 32, 32), 255),
        np.random.default_rng(0).integers(0, 4, (40, 1, 28, 28)),
        np.repeat(np.arange(40, dtype=np.uint8)[:, None] * 6, 32 * 32, 1).reshape(-1, 1, 32, 32),
        drawings(1),
        drawings(40),
    ],
    ids=["white", "nearly black", "flat greys", "one picture", "unlike pictures"],
)
def test_pictures_that_are_empty_or_unlike_are_in_no_group(images):
    assert nearly_equal(Looks(images.astype(np.uint8)), np.arange(len(images))) == []


def test_zero_looks_for_none():
    assert nearly_equal(Looks(np.repeat(drawings(1), 3, 0)), np.arange(3), 0) == []


def test_most_pixels_come_first_then_the_first_path(tmp_path):
    pool = pool_of(tmp_path, drawings(4), width=[32, 64, 32, 32], paths=["b", "z", "c", "a"])
    assert preferred(pool).tolist() == [1, 3, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=14))
def test_equal_files_and_equal_pixels_of_one_size_are_one_group(tmp_path_factory, kinds):
    """Kinds: which picture, the second and third of which are empty; which content; which size."""
    look = np.stack([drawings(1)[0], np.full((3, 32, 32), 255), np.full((3, 32, 32), 9)])
    content = [10 * picture + file for picture, file, _ in kinds]
    sizes = [(64, 80)[size] for *_, size in kinds]
    pool = pool_of(
        tmp_path_factory.mktemp("pool"), look[[kind[0] for kind in kinds]], content=content, width=sizes, height=sizes
    )
    found = equal(pool, Looks(pool.images), np.arange(len(kinds)))

    def same(i, j):
        (a, file_a, size_a), (b, file_b, size_b) = kinds[i], kinds[j]
        return a == b and size_a == size_b and (a == 0 or file_a == file_b)

    expected = []
    for row in range(len(kinds)):
        home = next((group for group in expected if same(group[0], row)), None)
        expected.append([row]) if home is None else home.append(row)
    assert [rows.tolist() for rows in found] == expected


def test_an_empty_picture_whose_every_pixel_is_seen_can_be_equal(tmp_path):
    white = np.full((3, 1, 32, 32), 255)
    pool = pool_of(tmp_path, white, content=[1, 2, 3])
    assert [rows.tolist() for rows in equal(pool, Looks(pool.images), np.arange(3))] == [[0, 1, 2]]
