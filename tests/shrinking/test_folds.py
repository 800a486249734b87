from dataclasses import replace

import numpy as np
import pytest
from tests.shrinking.pools import make_pool

from decoct.core.errors import UsageError
from decoct.shrinking import folds
from decoct.shrinking.pool import TEST, TRAIN


def pool_of(tmp_path, split=None, n=60):
    return make_pool(tmp_path / "pool", [f"{i}.png" for i in range(n)], np.arange(n) % 3, ["a", "b", "c"], split)


def test_a_test_folder_is_the_test_and_train_judges_itself_by_quarters(tmp_path):
    pool = pool_of(tmp_path, [0] * 40 + [2] * 20)
    (fold,) = folds.plan(pool, 5, 0)
    assert fold.train.tolist() == list(range(40)) and fold.test.tolist() == list(range(40, 60))
    assert len(fold.inner) == 4
    assert sorted(np.concatenate([each.judges for each in fold.inner])) == list(range(40))
    for each in fold.inner:
        assert sorted(np.concatenate([each.race, each.judges])) == list(range(40))
        assert 8 <= len(each.judges) <= 12


def test_a_val_folder_judges_and_is_no_candidate(tmp_path):
    (fold,) = folds.plan(pool_of(tmp_path, [0] * 30 + [1] * 15 + [2] * 15), 5, 0)
    assert len(fold.inner) == 1 and fold.inner[0].judges.tolist() == list(range(30, 45))
    assert fold.inner[0].race.tolist() == fold.train.tolist() == list(range(30))


def test_without_a_test_folder_val_is_of_the_candidates_and_every_image_is_tested_once(tmp_path):
    made = folds.plan(pool_of(tmp_path, [0] * 40 + [1] * 20), 3, 0)
    assert [fold.number for fold in made] == [0, 1, 2]
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(60))
    assert all(sorted([*fold.train, *fold.test]) == list(range(60)) for fold in made)


def test_seeds_divide_anew(tmp_path):
    pool = pool_of(tmp_path)
    one, again, other = (folds.plan(pool, 3, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.test, b.test) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True))


def test_no_fold_is_none(tmp_path):
    with pytest.raises(UsageError, match="--folds 0: take 1"):
        folds.set_aside(pool_of(tmp_path), 0, 0, np.empty(0, np.int64))


def test_too_few_images_are_told(tmp_path):
    with pytest.raises(UsageError, match="3 images in 3 groups are too few"):
        folds.plan(pool_of(tmp_path, n=3), 5, 0)


def test_one_fold_sets_a_fifth_aside_but_no_group_that_stays(tmp_path):
    pool = replace(pool_of(tmp_path, [0] * 40 + [1] * 20), groups=np.arange(60) // 2)
    made, k = folds.set_aside(pool, 1, 0, np.array([0, 7]))
    held = made.rows(TEST)
    assert k == 1 and all(2 <= n <= 4 for n in made.counts(held)) and len(made.rows(TRAIN)) == 60 - len(held)
    assert not set(pool.groups[held]) & ({0, 3} | set(pool.groups[made.rows(TRAIN)]))
    (fold,) = folds.plan(made, k, 0)
    assert fold.test.tolist() == held.tolist() and len(fold.inner) == folds.QUARTERS


@pytest.mark.parametrize(
    ("split", "asked", "many", "parts", "aside"),
    [(None, None, 60, 1, 12), (None, None, 61, 5, 0), (None, 3, 60, 3, 0), ([0] * 40 + [2] * 20, 1, 60, 1, 20)],
)
def test_many_images_are_tested_in_one_fold_where_nothing_is_asked(
    tmp_path, monkeypatch, split, asked, many, parts, aside
):
    monkeypatch.setattr(folds, "MANY", many)
    made, k = folds.set_aside(pool_of(tmp_path, split), asked, 0, np.empty(0, np.int64))
    assert (k, len(made.rows(TEST))) == (parts, aside)
