"""Smaller studies: what goes first, what stays, and TOML that gives the very study that was timed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.run.planning.proposals import FEWEST, Takes, propose, seconds_of
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
    return Takes(float(each * study.replicates.condense * sum(budget.ipc for budget in study.budgets)), 10)


def partly(study):
    """As ``clock``, but nothing is known of what sre2l takes."""
    own = dict(study.methods())
    sets = study.replicates.condense * len(study.budgets)
    known = clock(study).seconds
    return Takes(known - 30 * sets, 10, sets) if any(m.name == "sre2l" for m in own.values()) else Takes(known, 10)


def met(found):
    return found.takes.within(found.limit)


def test_a_study_that_fits_is_left_as_it_is(study):
    found = propose(study, clock(study).seconds, clock)
    assert met(found) and not found.steps and found.changed == {} and found.study == study


def test_condense_replicates_go_first_and_only_as_far_as_needed(study):
    found = propose(study, clock(study).seconds * 0.81, clock)
    assert met(found) and found.changed == {"replicates": {"condense": 4, "train": 2}}
    assert [what for what, _ in found.steps] == ["4 condense replicates, not 5"]


def test_then_train_replicates_then_the_largest_budget(study):
    found = propose(study, clock(study).seconds * 0.55, clock)
    assert [what for what, _ in found.steps][:2] == ["4 condense replicates, not 5", "3 condense replicates, not 4"]
    assert found.changed == {"replicates": {"condense": 3, "train": 1}}
    found = propose(study, clock(study).seconds * 0.1, clock)
    assert "without the budget ipc=50" in [what for what, _ in found.steps]
    assert found.changed["budgets"] == [{"ipc": 1}, {"ipc": 10}]


def test_time_that_is_left_goes_back_to_the_sets(study):
    found = propose(study, clock(study).seconds * 0.17, clock)
    assert met(found) and found.study.replicates.condense == 5 and found.study.replicates.train == 1
    assert len(found.study.budgets) == 2


@settings(deadline=None, max_examples=20)  # names are looked up anew for every study
@given(st.floats(0.001, 1.2))
def test_the_toml_is_the_study_and_the_steps_add_up(share):
    study = Study.from_dict(TABLE)
    found = propose(study, clock(study).seconds * share, clock)
    assert Study.from_dict(TABLE | found.changed) == found.study
    assert (found.asked, found.takes) == (clock(study), clock(found.study))
    assert met(found) == (found.takes.seconds <= found.limit)
    assert clock(study).seconds - sum(saves for _, saves in found.steps) == pytest.approx(found.takes.seconds)
    assert found.study.replicates.condense >= FEWEST and found.study.protocols == study.protocols
    assert "random" in found.study.methods() and len(found.study.methods()) >= 2
    labels = found.study.methods()
    assert all(control in labels for control in found.study.controls().values())


def test_the_smallest_is_said_where_none_fits(study):
    found = propose(study, 1e-3, clock)
    assert not met(found)
    assert len(found.study.budgets) == len(found.study.students) == 1 and len(found.study.methods()) == 2
    assert found.study.replicates.condense == FEWEST and found.study.replicates.train == 1
    assert propose(found.study, 1e-3, clock).changed == {}
    dearest = [what for what, _ in found.steps if "method" in what]
    assert dearest[0] == "without the method sre2l"


@pytest.mark.parametrize(
    ("takes", "fits"),
    [
        (Takes(10.0, 3), True),
        (Takes(10.1, 3), False),
        (Takes(10.0, 3, 1), None),
        (Takes(0.0, 0, 7), None),
        (Takes(10.1, 3, 1), False),
        (Takes(0.0, 0), True),
    ],
)
def test_what_is_not_known_fits_nothing_and_what_is_known_may_be_too_much(study, takes, fits):
    assert takes.within(10.0) is fits
    found = propose(study, 10.0, lambda other: takes)
    assert met(found) is fits and found.to_json()["fits_as_it_is"] is fits
    assert bool(found.steps) == (fits is False)


def test_a_smaller_study_with_unknown_jobs_is_not_said_to_fit_nor_filled_up(study):
    whole = partly(study)
    found = propose(study, whole.seconds * 0.5, partly)
    assert found.takes.seconds <= found.limit and found.takes.unknown and met(found) is None
    assert not any("again" in what for what, _ in found.steps)
    said = found.to_json()
    assert (said["met"], said["fits_as_it_is"], said["unknown"]) == (None, False, found.takes.unknown)


def test_few_replicates_stay_few(study):
    single = study.model_copy(update={"replicates": study.replicates.model_copy(update={"condense": 1})})
    assert propose(single, 1e-3, clock).study.replicates.condense == 1


def test_nothing_changes_silently(study):
    before = study.model_dump_json()
    propose(study, 1.0, clock)
    assert study.model_dump_json() == before


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
