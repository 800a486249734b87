"""Smaller studies: what goes first, what stays, and TOML that gives the very study that was timed."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.run.planning.proposals import FEWEST, changes, propose
from decoct.run.study import Study

TABLE = {
    "name": "large",
    "students": ["convnet1_w8", "convnet1_w16"],
    "budgets": [{"ipc": 1}, {"ipc": 50}, {"ipc": 10}],
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


@pytest.fixture(scope="module")
def study():
    return Study.from_dict(TABLE)


def clock(study):
    """Sets × (their method's cost + students), each image a second."""
    each = sum(COSTS[method.name] + len(study.students) * study.replicates.train for method in study.methods().values())
    return float(each * study.replicates.condense * sum(budget.ipc for budget in study.budgets))


def test_a_study_that_fits_is_left_as_it_is(study):
    found = propose(study, clock(study), clock)
    assert found.met and not found.steps and found.toml == "" and found.study == study


def test_condense_replicates_go_first_and_only_as_far_as_needed(study):
    found = propose(study, clock(study) * 0.81, clock)
    assert found.met and found.toml == "replicates = {condense = 4, train = 2}"
    assert [step.what for step in found.steps] == ["4 condense replicates, not 5"]


def test_then_train_replicates_then_the_largest_budget(study):
    found = propose(study, clock(study) * 0.55, clock)
    assert [step.what for step in found.steps][:2] == ["4 condense replicates, not 5", "3 condense replicates, not 4"]
    assert found.toml == "replicates = {condense = 3, train = 1}"
    found = propose(study, clock(study) * 0.1, clock)
    assert "without the budget ipc=50" in [step.what for step in found.steps]
    assert "budgets = [{ipc = 1}, {ipc = 10}]" in found.toml


def test_time_that_is_left_goes_back_to_the_sets(study):
    found = propose(study, clock(study) * 0.17, clock)
    assert found.met and found.study.replicates.condense == 5 and found.study.replicates.train == 1
    assert len(found.study.budgets) == 2


@settings(deadline=None, max_examples=20)  # names are looked up anew for every study
@given(st.floats(0.001, 1.2))
def test_the_toml_is_the_study_and_the_steps_add_up(share):
    study = Study.from_dict(TABLE)
    found = propose(study, clock(study) * share, clock)
    assert Study.from_dict(TABLE | tomllib.loads(found.toml)) == found.study
    assert found.seconds == clock(found.study)
    assert found.met == (found.seconds <= found.limit)
    assert clock(study) - sum(step.saves for step in found.steps) == pytest.approx(found.seconds)
    assert found.study.replicates.condense >= FEWEST and found.study.protocols == study.protocols
    assert "random" in found.study.methods() and len(found.study.methods()) >= 2
    labels = found.study.methods()
    assert all(control in labels for control in found.study.controls().values())


def test_the_smallest_is_said_where_none_fits(study):
    found = propose(study, 1e-3, clock)
    assert not found.met
    assert len(found.study.budgets) == len(found.study.students) == 1 and len(found.study.methods()) == 2
    assert found.study.replicates.condense == FEWEST and found.study.replicates.train == 1
    assert propose(found.study, 1e-3, clock).toml == ""
    dearest = [step.what for step in found.steps if "method" in step.what]
    assert dearest[0] == "without the method sre2l"


def test_few_replicates_stay_few(study):
    single = study.model_copy(update={"replicates": study.replicates.model_copy(update={"condense": 1})})
    assert propose(single, 1e-3, clock).study.replicates.condense == 1


def test_nothing_changes_silently(study):
    before = study.model_dump_json()
    propose(study, 1.0, clock)
    assert study.model_dump_json() == before
    assert changes(study, study) == ""
