import numpy as np
import pytest
from tests.shrinking.pools import make_pool
from tests.shrinking.toy import NearestMean, blobs

from decoct.shrinking import folds
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import RANDOM
from decoct.shrinking.trainings import Trainings
from decoct.shrinking.trial import Trial
from decoct.study.workers.executors import Inline

NONE = np.empty(0, np.int64)


def trial(tmp_path, split=None, k=3, students=2):
    images, labels = blobs(240)
    names = [f"{i}.png" for i in range(240)]
    pool = make_pool(tmp_path / "pool", names, labels, ["a", "b", "c"], split, images=images)
    run = Trainings(pool, NearestMean(), tmp_path / "kept", lambda n: Inline())
    run.__enter__()
    return Trial(run, folds.plan(pool, k, 0), students, 0, NONE, NONE)


def test_a_size_is_tested_with_fresh_students_paired_by_seed(tmp_path):
    test = trial(tmp_path, split=[0] * 160 + [2] * 80, students=3)
    test.open()
    found = test.test(0.5, ["herding"], Asked.of(within=5))
    fold, pool = test.folds[0], test.pool
    assert len(test.folds) == 1 and found.size == 80 == len(test.sets[0, 0.5, 0])
    full, small = [], []
    for seed in test.students_of(fold):
        for rows, into in ((fold.train, full), (np.sort(test.sets[0, 0.5, 0]), small)):
            said = NearestMean().probabilities(pool, rows, fold.test, seed)
            into.append((said.argmax(1) == pool.labels[fold.test]).mean())
    assert found.full.mean == pytest.approx(np.mean(full))
    assert found.loss.mean == pytest.approx(np.mean(full) - np.mean(small), abs=1e-6)
    assert found.shown == (found.loss.hi < 0.05)


def test_a_method_that_draws_is_one_set_of_a_folder_and_several_of_folds(tmp_path):
    one = trial(tmp_path / "folder", split=[0] * 160 + [2] * 80)
    one.open()
    one.test(0.5, [RANDOM], Asked.of(within=5))
    assert np.array_equal(one.sets[0, 0.5, 0], one.sets[0, 0.5, 1])
    many = trial(tmp_path / "folds")
    many.open()
    many.test(0.5, [RANDOM] * 3, Asked.of(within=5))
    assert not np.array_equal(many.sets[0, 0.5, 0], many.sets[0, 0.5, 1])
    assert many.size(0.5) == 120


def test_no_student_of_the_race_is_one_of_the_test(tmp_path):
    from decoct.core.seeds import seed

    test = trial(tmp_path)
    racing = {seed(0, "race", fold.number, r) for fold in test.folds for r in range(8)}
    assert not racing & {each for fold in test.folds for each in test.students_of(fold)}
