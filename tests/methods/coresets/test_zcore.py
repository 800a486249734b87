"""ZCore: the coverage of the engine, on all images or on each class."""

import numpy as np
import pytest

from decoct.core.seeds import seed
from decoct.methods.coresets.zcore import ZCore, coverage


def test_all_images_are_ranked_together_by_their_coverage(toy):
    box, features = toy(), np.random.default_rng(0).normal(size=(120, 5))
    method = ZCore(draws=200, redundant=30, exponent=2)
    picks = method(box.inputs(10, seed=4, features=features)).indices
    score = coverage(features, 200, 30, 2.0, np.random.default_rng(seed(4, "zcore", -1)))
    assert picks.tolist() == np.argsort(-score, kind="stable")[:30].tolist()


def test_a_class_by_itself_has_its_share_of_the_draws(toy):
    box, features = toy(), np.random.default_rng(0).normal(size=(120, 5))
    box.data.train.labels[np.flatnonzero(box.data.train.labels == 0)[:20]] = 1
    picks = ZCore(pooled=False, draws=240)(box.inputs(5, seed=4, features=features)).indices.reshape(3, 5)
    for c, draws in enumerate([40, 120, 80]):
        members = np.flatnonzero(box.data.train.labels == c)
        score = coverage(features[members], draws, 1000, 4.0, np.random.default_rng(seed(4, "zcore", c)))
        assert picks[c].tolist() == members[np.argsort(-score, kind="stable")[:5]].tolist()


def test_a_lone_image_outlives_its_many_copies(toy):
    features = np.zeros((120, 4), np.float32)
    features[:60] = np.random.default_rng(0).normal(size=(60, 4))
    picks = ZCore(draws=2000)(toy().inputs(10, features=features)).indices
    assert (picks < 60).mean() > 0.8


def test_the_paper_pools_classes_and_draws_a_million_times():
    method = ZCore()
    assert method.pooled and method.together(1) is None and ZCore(pooled=False).together(1) == 1
    assert (method.draws, method.redundant, method.exponent) == (1_000_000, 1000, 4)
    with pytest.raises(ValueError, match="draws"):
        ZCore(draws=0)
