"""The contract suite passes what keeps the rules and catches what breaks each of them."""

import pytest

from decoct.core.errors import UsageError
from decoct.run.contract import check

UNEVEN = "keeps to budgets that ask classes for different numbers, unless it says even"


def broken(name, bad):
    findings = check(name, (bad,))
    return [(finding.rule, finding.detail) for finding in findings if not finding.ok]


@pytest.mark.parametrize("name", ["random", "herding", "rded", "dm", "datm", "mgd3"])
def test_what_is_built_in_keeps_every_rule(name):
    told = []
    findings = check(name, progress=lambda done, total: told.append((done, total)))
    assert [finding for finding in findings if not finding.ok] == []
    assert told == [(n + 1, len(findings)) for n in range(len(findings))]


def test_a_good_plug_in_keeps_every_rule(bad):
    assert broken("good", bad) == []


@pytest.mark.parametrize(
    ("name", "rule", "detail"),
    [
        ("unbalanced", "gives the budget of every class", "ipc=2 asks for [2, 2, 2, 2, 2, 2, 2, 2, 2, 2] of the clas"),
        ("too_many", "makes a set", "too_many made 50 images where the budget ipc=2 gives 20"),
        ("ignores_the_seed", "another seed gives another set", "declare stochastic = False"),
        ("uses_the_seed", "ignores the seed", "declares stochastic = False, but the seed matters"),
        ("hidden_draws", "the same seed gives the same set", "two runs with one seed differ"),
        ("wrong_shape", "makes a set", "(1, 9, 9)"),
        ("not_finite", "makes a set", "not finite"),
        ("no_such_image", "makes a set", "does not have"),
        ("raises", "makes a set", "ValueError: no luck"),
        ("no_family", "says what it is", "docstring"),
        ("entangled", "shards of its classes, where it can be cut, are the set bit for bit", "see together()"),
        ("evens_out", UNEVEN, "at fraction=0.03: the budget fraction=0.03 asks for [4, 4, "),
        ("spreads", UNEVEN, "at images=7: AssertionError: nothing to begin with"),
        ("pools_twice", UNEVEN, "at fraction=0.03, pooled: an image was picked twice"),
        ("draws_in_pools", UNEVEN, "at fraction=0.03, pooled: two runs with one seed differ"),
    ],
)
def test_what_breaks_a_rule_is_caught_and_named(bad, name, rule, detail):
    found, *more = broken(name, bad)
    assert found[0].startswith(rule)
    assert detail in found[1]
    assert [again for again, _ in more] in ([], [UNEVEN])  # what breaks at any budget breaks at those too


def test_picking_an_image_twice_is_caught(bad):
    rules = [rule for rule, detail in broken("twice", bad) if "picked twice" in detail]
    assert rules == ["gives images of the data's shape, or picks of the train split, each once", UNEVEN]


def test_a_method_that_says_even_is_asked_for_even_budgets_alone(bad):
    assert broken("even", bad) == []


def test_an_unknown_method_is_a_usage_error():
    with pytest.raises(UsageError, match=r"unknown condenser 'herdng'\. Did you mean 'herding'"):
        check("herdng")
