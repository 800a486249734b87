"""Rankings by a score: one sign, ties as said, and what is left out."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs
from decoct.methods.coresets._shared.scores import RankedCoreset, ScoreCoreset, forgotten, ranked

scores = st.lists(st.integers(-3, 3), min_size=1, max_size=30).map(lambda found: np.array(found, float))


@given(
    difficulty=scores,
    keep=st.sampled_from(["easy", "hard"]),
    trim=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    data=st.data(),
)
def test_it_is_a_sort_with_ties_by_number(difficulty, keep, trim, data):
    hardest_first = sorted(range(len(difficulty)), key=lambda i: (-difficulty[i], i))
    left = hardest_first[int(trim * len(difficulty)) :]
    n = data.draw(st.integers(0, len(left)))
    order = left if keep == "hard" else sorted(left, key=lambda i: (difficulty[i], i))
    assert ranked(difficulty, n, keep, trim).tolist() == order[:n]


@given(difficulty=scores, keep=st.sampled_from(["easy", "hard"]), seed=st.integers(0, 2**31), data=st.data())
def test_random_ties_change_the_order_of_equal_ones_alone(difficulty, keep, seed, data):
    n = data.draw(st.integers(0, len(difficulty)))
    drawn = ranked(difficulty, n, keep, rng=np.random.default_rng(seed))
    assert difficulty[drawn].tolist() == difficulty[ranked(difficulty, n, keep)].tolist()
    assert len(set(drawn.tolist())) == n
    more = ranked(difficulty, len(difficulty), keep, rng=np.random.default_rng(seed))
    assert more[:n].tolist() == drawn.tolist()


@pytest.mark.parametrize("keep", ["easy", "hard"])
def test_random_ties_are_uniform(keep):
    firsts = [ranked(np.zeros(4), 1, keep, rng=np.random.default_rng(seed))[0] for seed in range(2000)]
    assert np.bincount(firsts) / 2000 == pytest.approx([0.25] * 4, abs=0.04)


def test_infinite_scores_are_the_ends():
    difficulty = np.array([0.0, np.inf, -np.inf])
    assert ranked(difficulty, 3).tolist() == [1, 0, 2]
    assert ranked(difficulty, 3, "easy").tolist() == [2, 0, 1]


def test_a_trim_that_leaves_too_few_says_what_to_do():
    with pytest.raises(DecoctError, match=r"6 of 10 images are asked for, and trim = 0.5 leaves 5: lower trim, or the"):
        ranked(np.arange(10.0), 6, trim=0.5)


histories = st.integers(1, 12).flatmap(lambda epochs: arrays(np.uint8, (epochs, 5), elements=st.integers(0, 1)))


@given(correct=histories)
def test_forgetting_is_counted_and_what_is_never_learnt_counts_most(correct):
    for history, count in zip(correct.T.tolist(), forgotten(correct).tolist(), strict=True):
        if 1 in history:
            assert count == sum(a == 1 and b == 0 for a, b in pairwise(history)) < len(history)
        else:
            assert count == len(history)


class Given(RankedCoreset):
    """The score is given."""

    def difficulty(self, traces):
        return traces


def inputs(method, traces, quotas=None):
    labels = np.array([0, 0, 0, 1, 1, 1])
    data = SimpleNamespace(train=SimpleNamespace(labels=labels), class_names=("a", "b"))
    made = Inputs(data=data, budget=Budget(ipc=1), dynamics={method.needs()[0]: traces})
    if quotas is not None:
        object.__setattr__(made, "quotas", lambda: quotas)
    return made


@pytest.mark.parametrize(("quotas", "picks"), [([0, 2], [3, 5]), ([2, 0], [2, 1]), ([0, 0], [])])
def test_a_class_may_give_none(quotas, picks):
    made = Given()(inputs(Given(), np.array([0.0, 1, 2, 9, 3, 4]), quotas))
    assert made.indices.tolist() == picks and made.indices.dtype == np.int64


@pytest.mark.parametrize("wrong", [np.array([0.0, 1, 2, np.nan, 3, 4]), np.zeros(5), np.zeros((6, 1))])
def test_a_method_that_scores_not_every_image_is_refused(wrong):
    with pytest.raises(DecoctError, match="gives no score of every image"):
        Given()(inputs(Given(), wrong))


def test_a_method_that_says_nothing_is_told_what_to_define():
    class Silent(ScoreCoreset):
        name = "silent"

    with pytest.raises(DecoctError, match="silent does not say what is hard: define difficulty"):
        Silent()(inputs(Silent(), None))
    with pytest.raises(DecoctError, match="silent does not say how it picks: define pick"):
        Silent().pick(np.zeros(1), None, None)
