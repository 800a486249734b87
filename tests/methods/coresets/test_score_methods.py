"""What every method owes that scores by traces: hard is hard on a real training, picks are real, ordered, the same."""

import numpy as np
import pytest

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import parse
from decoct.needs.dynamics import Dynamics

EPOCHS = 30
BY_LABEL = ("el2n", "grand", "forgetting", "aum", "ccs", "dual")
BY_CONFIDENCE = ("margin", "entropy", "least_confidence")
RANKED = ("el2n", "grand", "forgetting", "aum", "tdds", *BY_CONFIDENCE)
ALL = (*RANKED, "ccs", "dual")
FIELDS = {"tdds": {"until": EPOCHS}}  # by default it reads the first ten epochs, before a wrong label is learnt


def method(name, **fields):
    return parse("condenser", {"name": name, **FIELDS.get(name, {}), **fields})


@pytest.mark.parametrize("name", ALL)
def test_mislabelled_images_are_hard_and_duplicates_as_hard_as_their_original(planted, name):
    difficulty = method(name).difficulty(planted.traces)
    assert difficulty.shape == planted.labels.shape
    assert planted.above(difficulty, "mislabelled", "easy") > 0.95
    assert planted.above(difficulty, "mislabelled", "noisy") > 0.9
    for c in range(3):
        easy, twins = (difficulty[planted.of(kind) & (planted.labels == c)] for kind in ("easy", "duplicate"))
        assert twins == pytest.approx(easy[0], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", [*BY_CONFIDENCE, "el2n", "aum"])
def test_images_between_two_classes_are_harder_than_clear_ones(planted, name):
    assert planted.above(method(name).difficulty(planted.traces), "ambiguous", "easy") > 0.8


@pytest.mark.parametrize("name", RANKED)
def test_hard_picks_are_mislabelled_easy_ones_are_not_and_a_trim_leaves_them_out(planted, name):
    def share(**fields):
        made = method(name, **fields)
        return planted.of("mislabelled")[made(planted.inputs(made, 6)).indices].mean()

    assert share(keep="hard") > 0.5
    assert share(keep="easy") == 0
    assert share(keep="hard", trim=0.25) < share(keep="hard")


@pytest.mark.parametrize("name", ALL)
def test_each_class_gives_as_many_different_images(planted, name):
    made = method(name)
    picks = made(planted.inputs(made, 7)).indices.reshape(3, 7)
    for c, row in enumerate(picks):
        assert len(set(row.tolist())) == 7
        assert (planted.labels[row] == c).all()


@pytest.mark.parametrize("name", ALL)
def test_the_whole_class_can_be_picked_and_no_more(planted, name):
    made = method(name)
    assert sorted(made(planted.inputs(made, 60)).indices) == list(range(180))
    with pytest.raises(DecoctError, match="fewer than"):
        made(planted.inputs(made, 61))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("images", [1, 2, 4, 150])
def test_a_class_may_give_none_or_all_but_a_few(planted, name, images):
    made, budget = method(name), Budget(images=images)
    picks = made(planted.inputs(made, budget=budget)).indices
    assert len(set(picks.tolist())) == images
    asked = budget.per_class([60] * 3, ("a", "b", "c"))
    assert np.bincount(planted.labels[picks], minlength=3).tolist() == asked


@pytest.mark.parametrize("keep", ["easy", "hard"])
@pytest.mark.parametrize("name", RANKED)
def test_a_smaller_set_is_the_beginning_of_a_larger_one(planted, name, keep):
    made = method(name, keep=keep, trim=0.1)
    large, small = (made(planted.inputs(made, ipc)).indices.reshape(3, ipc) for ipc in (40, 10))
    assert (large[:, :10] == small).all()


@pytest.mark.parametrize("name", ALL)
def test_only_a_stochastic_method_listens_to_the_seed(planted, name):
    made = method(name)
    first, again, other = (made(planted.inputs(made, 20, seed)).indices for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any() == made.stochastic == (name in ("forgetting", "ccs", "dual"))


@pytest.mark.parametrize("name", ALL)
def test_classes_made_apart_are_the_set(planted, name):
    made = method(name)
    assert made.together(5) == 1
    parts = [made(planted.inputs(made, 5, classes=(c,))).indices for c in range(3)]
    assert np.array_equal(np.concatenate(parts), made(planted.inputs(made, 5)).indices)


@pytest.mark.parametrize("name", ALL)
def test_pooled_a_ranking_knows_no_classes(planted, name):
    made = method(name, pooled=True)
    picks = made(planted.inputs(made, 10)).indices
    assert len(set(picks.tolist())) == 30 and made.together(10) is None
    if name in RANKED and name != "forgetting":
        difficulty = made.difficulty(planted.traces)
        assert picks.tolist() == np.argsort(-difficulty, kind="stable")[:30].tolist()


@pytest.mark.parametrize("name", ALL)
def test_progress_reaches_its_end(planted, name):
    calls, made = [], method(name)
    made(planted.inputs(made, 2, progress=lambda *a: calls.append(a)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", ALL)
def test_its_need_follows_its_fields(name):
    (need,) = method(name, net="resnet18", epochs=7, runs=3).needs()
    assert need == Dynamics(net="resnet18", epochs=7, runs=3)
    (usual,) = method(name).needs()
    assert usual == Dynamics(runs=10 if name in ("el2n", "grand") else 1)


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize("fields", [{"trim": 1.0}, {"trim": -0.1}, {"keep": "both"}, {"runs": 0}, {"epochs": 0}])
def test_fields_out_of_range_are_usage_errors(name, fields):
    with pytest.raises(UsageError):
        method(name, **fields)


@pytest.mark.parametrize("name", [*RANKED, "ccs"])
def test_a_trim_that_leaves_too_few_says_what_to_do(planted, name):
    made = method(name, trim=0.5)
    with pytest.raises(DecoctError, match=r"31 of 60 images .* trim = 0.5 leaves 30: lower trim"):
        made(planted.inputs(made, 31))
