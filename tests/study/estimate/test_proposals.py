"""Smaller studies: what goes first, what stays, and TOML that gives the very study that was timed."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.study.estimate.proposals import FEWEST, propose, seconds_of
from decoct.study.study import Study

TABLE = {
    "name": "large",
    "students": ["convnet1_w8", "convnet1_w16"],
    "budgets": [{"ipc": 1}, {"ipc": 10}, {"ipc": 50}],
    "replicates": {"condense": 5, "train": 2},
    "condensers": [
        "random",
        {"name": "rded", "label": 'with "quotes"', "control": "plain"},
        {"name": "rded", "label": "plain", "factor": 2},
        {"name": "sre2l", "iterations": 7},
    ],
    "protocols": ["erm"],
}
COSTS = {"random": 1, "rded": 3, "sre2l": 30}


@dataclass(frozen=True)
class Fake:
    """A plan of a study: sets × (their method's cost + students), each image a second; some methods are unknown."""

    study: Study
    mystery: str = ""

    def sets(self):
        named, images = self.study.methods(), sum(b.ipc for b in self.study.budgets)
        return [(named[label].name, sets * images) for label, sets in self.study.sets().items()]

    @property
    def clock(self):
        students = len(self.study.students) * self.study.replicates.train
        return float(sum(n * (students + COSTS[name] * (name != self.mystery)) for name, n in self.sets()))

    @property
    def unknown(self):
        return sum(n for name, n in self.sets() if name == self.mystery)


@pytest.fixture(scope="module")
def study():
    return Study.from_dict(TABLE)


def words(found):
    return [step["what"] for step in found["steps"]]


def test_a_study_that_fits_is_left_as_it_is(study):
    found = propose(Fake(study), Fake(study).clock)
    assert found["met"] is found["fits_as_it_is"] is True
    assert words(found) == ["as it is"] and found["change"] == {}


def test_replicates_go_first_and_only_as_far_as_needed(study):
    found = propose(Fake(study), Fake(study).clock * 0.81)
    assert found["met"] and not found["fits_as_it_is"] and words(found) == ["as it is", "condense replicates: 4"]
    assert found["change"] == {"replicates": {"condense": 4, "train": 2, "teacher": 1}}
    found = propose(Fake(study), Fake(study).clock * 0.55)
    assert words(found)[1:] == ["condense replicates: 4", "condense replicates: 3", "train replicates: 1"]


def test_a_method_with_more_sets_than_the_others_gets_as_many_first(study):
    more = Study.from_dict(TABLE | {"condensers": [{"name": "random", "sets": 9}, *TABLE["condensers"][1:]]})
    found = propose(Fake(more), Fake(study).clock)
    assert words(found) == ["as it is", "5 sets of random, as of the others"] and found["met"]
    assert Study.from_dict(TABLE | found["change"]).sets() == study.sets()


def test_then_the_last_budget_student_and_method_but_no_control(study):
    found = propose(Fake(study), 1e-3)
    gone = [what.removeprefix("without the ") for what in words(found)[4:]]
    assert gone == ["budget ipc=50", "budget ipc=10", "student convnet1_w16", "method sre2l", 'method with "quotes"']
    assert found["met"] is False and found["change"]["condensers"] == TABLE["condensers"][:1] + TABLE["condensers"][2:3]
    smallest = Study.from_dict(TABLE | found["change"])
    assert propose(Fake(smallest), 1e-3)["change"] == {}


@settings(deadline=None, max_examples=20)  # names are looked up anew for every study
@given(st.floats(0.001, 1.2))
def test_the_keys_to_change_give_the_study_that_was_timed(share):
    study = Study.from_dict(TABLE)
    found = propose(Fake(study), Fake(study).clock * share)
    small = Study.from_dict(TABLE | found["change"])
    assert found["steps"][-1]["seconds"] == Fake(small).clock
    assert found["met"] == (Fake(small).clock <= found["limit"])
    assert all(step["fits"] is False for step in found["steps"][:-1])
    assert small.replicates.condense >= FEWEST and small.protocols == study.protocols
    assert "random" in small.methods() and len(small.methods()) >= 2


def test_what_is_not_known_fits_nothing_and_what_is_known_may_be_too_much(study):
    plan = Fake(study, "sre2l")
    assert propose(plan, plan.clock)["fits_as_it_is"] is propose(plan, plan.clock)["met"] is None
    found = propose(plan, plan.clock * 0.5)
    assert found["fits_as_it_is"] is False and found["met"] is None
    assert found["steps"][-1]["unknown"] == plan.unknown * 3 / 5


def test_each_set_keeps_its_own_teacher(study):
    own = Study.from_dict(TABLE | {"replicates": {"condense": 5, "train": 2, "teacher": 5}})
    found = propose(Fake(own), Fake(own).clock * 0.81)
    assert found["change"] == {"replicates": {"condense": 4, "train": 2, "teacher": 4}}
    assert Study.from_dict(TABLE | found["change"]).replicates.teacher == 4


def test_a_method_that_a_protocol_names_stays():
    own = {"name": "erm", "label": "sre2l_own", "epochs": 9, "native": True, "methods": ["sre2l"]}
    named = Study.from_dict(TABLE | {"protocols": ["erm", own]})
    found = propose(Fake(named), 1e-3)
    assert "without the method sre2l" not in words(found)
    assert Study.from_dict(TABLE | {"protocols": ["erm", own]} | found["change"]).natives() == {"sre2l_own": ("sre2l",)}


def test_few_replicates_stay_few(study):
    single = study.model_copy(update={"replicates": study.replicates.model_copy(update={"condense": 1})})
    assert not any("condense replicates" in what for what in words(propose(Fake(single), 1e-3)))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("3d", 259200), ("45s", 45), ("1.5 h", 5400), ("10min", 600)],
)
def test_spans_of_time_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds_of(text.upper()) == seconds


@pytest.mark.parametrize("text", ["", "soon", "90", "-1h", "0s", "1h2d", "nanh", "9" * 400 + "h"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(UsageError, match="1h30m"):
        seconds_of(text)
