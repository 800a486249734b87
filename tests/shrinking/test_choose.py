import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import NearestMean, blobs

from decoct import select
from decoct.core.budget import proportional
from decoct.core.errors import UsageError
from decoct.shrinking.choose import METHODS, affordable, check, choose, count, quotas


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    images, labels = blobs(120)
    labels[:20] = 0  # classes of several sizes
    return make_pool(
        tmp_path_factory.mktemp("pool"), [f"{i}.png" for i in range(120)], labels, ["a", "b", "c"], images=images
    )


@pytest.fixture(scope="module")
def material(pool):
    return NearestMean().material(pool, np.arange(10, 110), 0)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n", [3, 40, 99])
def test_every_method_gives_each_class_its_share_of_the_candidates(name, n, pool, material):
    rows = np.arange(10, 110)
    made = choose(name, pool, rows, n, material, seed=1)
    assert len(made) == len(set(made.tolist())) == n
    assert set(made) <= set(rows)
    assert pool.counts(made) == proportional(pool.counts(rows), n)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_kept_is_part_of_the_set(name, pool, material):
    rows, kept = np.arange(10, 110), np.array([15, 33, 70])
    made = choose(name, pool, rows, 40, material, seed=1, kept=kept)
    assert made[:3].tolist() == kept.tolist()
    assert len(set(made.tolist())) == 40
    assert pool.counts(made) == proportional(pool.counts(rows), 40)


def test_herding_is_that_of_the_kernel_in_each_class(pool, material):
    rows = np.arange(10, 110)
    made = choose("herding", pool, rows, 30, material, seed=0)
    for c in range(3):
        own = np.flatnonzero(pool.labels[rows] == c)
        picks = [row for row in made if pool.labels[row] == c]
        assert rows[own[select.herding(material.features[own], len(picks))]].tolist() == picks


def test_the_two_ends_of_a_ranking_are_opposite(pool, material):
    rows = np.arange(10, 110)
    easy, hard = (set(choose(f"el2n_{end}", pool, rows, 50, material, 0).tolist()) for end in ("easy", "hard"))
    assert len(easy & hard) <= 3  # one of each class, by rounding


def test_seeds_draw_and_equal_seeds_draw_alike(pool):
    one, again, other = (choose("random", pool, np.arange(120), 30, None, s).tolist() for s in (1, 1, 2))
    assert one == again != other


def test_too_few_or_too_many_are_refused(pool):
    with pytest.raises(UsageError, match="3 classes"):
        quotas([5, 5, 5], 2)
    with pytest.raises(UsageError, match="15 images"):
        quotas([5, 5, 5], 16)
    with pytest.raises(UsageError, match="class 'a'"):
        choose("random", pool, np.arange(120), 6, None, 0, np.flatnonzero(pool.labels == 0)[:5])


def test_names_are_checked_and_random_always_races():
    assert check(["herding", "random", "herding"]) == ("random", "herding")
    with pytest.raises(UsageError, match="Did you mean 'herding'"):
        check(["hearding"])


def test_k_means_is_left_out_where_it_would_take_hours():
    assert affordable("k_means", [1000, 1000], 1000)
    assert not affordable("k_means", [100_000, 10], 50_000)
    assert affordable("herding", [100_000, 10], 50_000)


def test_a_share_gives_each_class_an_image(pool):
    assert count(0.001, np.arange(120), pool) == 3
    assert count(0.5, np.arange(120), pool) == 60
    assert count(1.5, np.arange(120), pool) == 120
