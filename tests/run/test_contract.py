"""The contract suite passes what keeps the rules and catches what breaks each of them."""

import pytest

from decoct.core.errors import UsageError
from decoct.run.contract import check


def broken(name, bad):
    findings = check(name, (bad,))
    return [(finding.rule, finding.detail) for finding in findings if not finding.ok]


@pytest.mark.parametrize("name", ["random", "herding", "rded"])
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
        ("unbalanced", "gives the budget of every class", "asked for 2 of each class, got [1, 3, 2"),
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
    ],
)
def test_what_breaks_a_rule_is_caught_and_named(bad, name, rule, detail):
    (found,) = broken(name, bad)
    assert found[0].startswith(rule)
    assert detail in found[1]


def test_picking_an_image_twice_is_caught(bad):
    rules = [rule for rule, detail in broken("twice", bad) if "picked twice" in detail]
    assert rules == ["gives images of the data's shape, or picks of the train split, each once"]


def test_an_unknown_method_is_a_usage_error():
    with pytest.raises(UsageError, match=r"unknown condenser 'herdng'\. Did you mean 'herding'"):
        check("herdng")
