"""The contract suite passes what keeps the rules and catches what breaks each of them."""

import textwrap

import pytest

from decoct.core.errors import UsageError
from decoct.core.interfaces import TrainProtocol
from decoct.protocols.erm import ERM
from decoct.study.contract import check

UNEVEN = "keeps to budgets that ask classes for different numbers, unless it says even"


SLOW = pytest.param("mgd3", marks=pytest.mark.slow)  # a generator is trained first


def broken(name, bad):
    findings = check(name, (bad,))
    return [(finding.rule, finding.detail) for finding in findings if not finding.ok]


@pytest.mark.parametrize("name", ["random", "herding", "rded", "dm", "datm", SLOW])
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


PROTOCOLS = '''
    """Protocols that keep the rules, or break one each."""

    from typing import Any, ClassVar

    from decoct.core.interfaces import TrainProtocol
    from decoct.training.recipe import FromScratch


    class Fair(FromScratch):
        """Keeps every rule, with fields of its own that are called as those of other protocols are."""

        name: ClassVar[str] = "fair"
        quick: ClassVar[dict[str, Any]] = {"steps": 5}

        labels: str = "a word"
        own_labels: str = "another"

        def recipe(self, task):
            return self.finished(self.base(task, large_batch=128))


    class Silent(TrainProtocol):
        name: ClassVar[str] = "silent"


    class Undecided(Fair):
        """Has no recipe for large sets."""

        name: ClassVar[str] = "undecided"

        def recipe(self, task):
            return super().recipe(task) if task.images < 1000 else None


    class Wordy(Fair):
        """Says in words how its labels are stored."""

        name: ClassVar[str] = "wordy"

        def storing(self):
            return self.labels


    class Lone(Fair):
        """Names its teacher alone."""

        name: ClassVar[str] = "lone"

        def label_teachers(self, size):
            return "teacher"
'''


@pytest.fixture(scope="module")
def protocols(tmp_path_factory):
    """The file of the protocols above."""
    file = tmp_path_factory.mktemp("plugins") / "protocols.py"
    file.write_text(textwrap.dedent(PROTOCOLS).lstrip(), "utf-8")
    return str(file)


def test_a_protocol_that_keeps_the_rules_may_call_its_own_fields_as_it_likes(protocols):
    findings = check("fair", (protocols,))
    assert len(findings) == 5 and [finding for finding in findings if not finding.ok] == []


def test_a_built_in_protocol_keeps_every_rule(monkeypatch):
    monkeypatch.setattr(ERM, "quick", {"steps": 5})
    assert [finding for finding in check("erm") if not finding.ok] == []


@pytest.mark.parametrize(
    ("name", "rule", "detail"),
    [
        ("silent", "says what it is", "the class has no docstring"),
        ("undecided", "gives a recipe for sets of any size", "of 5000 images gives None: return a Recipe of at least"),
        (
            "wordy",
            "answers what a run asks it",
            "storing() gives 'a word': return Storing or None, or leave",
        ),
        ("lone", "answers what a run asks it", "gives 'teacher': return a tuple of names of nets, () for hard labels"),
    ],
)
def test_what_a_protocol_breaks_is_caught_and_named(protocols, name, rule, detail):
    found = broken(name, protocols)[0]
    assert found[0].startswith(rule) and detail in found[1]


@pytest.mark.filterwarnings("ignore:Field name")
def test_a_field_in_the_place_of_what_is_asked_is_refused_when_the_class_is_made():
    with pytest.raises(UsageError, match=r"Loud: each protocol is asked for storing\(\): call"):

        class Loud(TrainProtocol):
            storing: str = "loudly"
