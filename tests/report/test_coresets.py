"""Which coreset: words of the verdicts, counted again here."""

import pytest

from decoct.report.coresets import which
from decoct.report.judged import judge
from decoct.report.read import frame


@pytest.fixture
def verdicts(builder):
    """``verdicts(fields)``: of a run of coresets alone."""

    def make(**changes):
        builder.methods = {m: own for m, own in builder.methods.items() if own[0] == "coreset"}
        for name, value in changes.items():
            setattr(builder, name, value)
        return judge(frame.read(builder.build())).verdicts

    return make


def counted(verdicts, word, of):
    """In how many settings a word stands, by method, counted one by one."""
    counts = {}
    for v in verdicts:
        if not v.outside and of(v) == word:
            counts[v.method] = counts.get(v.method, 0) + 1
    return counts


def test_the_one_that_beats_all_others_is_named(verdicts):
    own = verdicts(truth={"random": 0.5, "herding": 0.7, "k_center": 0.5})
    assert counted(own, "better", lambda v: v.against_coresets) == {"herding": 6}
    answer, because = which(own)
    assert answer == "herding: better than every other coreset in 6 of 6 settings"
    assert because.startswith(
        "One coreset is better than every other in 6 of 6 settings; 12 comparisons of 2 other coresets with random: "
    )


def test_random_may_be_the_best(verdicts):
    own = verdicts(truth={"random": 0.7, "herding": 0.5, "k_center": 0.4})
    assert which(own)[0].startswith("random: better than every other coreset in ")


def test_several_that_win_somewhere_are_all_named(verdicts):
    def twist(method, protocol, student):
        return 0.2 if (method, protocol) in (("herding", "erm"), ("k_center", "single_teacher")) else 0

    own = verdicts(truth=dict.fromkeys(("random", "herding", "k_center"), 0.5), twist=twist)
    won = counted(own, "better", lambda v: v.against_coresets)
    assert won == {"herding": 2, "k_center": 2}
    assert which(own)[0] == "herding: better than every other coreset in 2 of 6 settings; k_center in 2"


def test_better_than_random_is_not_better_than_all(verdicts):
    own = verdicts(truth={"random": 0.5, "herding": 0.7, "k_center": 0.7})
    better = counted(own, "better", lambda v: v.random and v.random.verdict)
    assert set(better) == {"herding", "k_center"} and not counted(own, "better", lambda v: v.against_coresets)
    answer, _ = which(own)
    assert answer.startswith("No single one: random is beaten by ")
    assert all(f"{method} in {n}" in answer for method, n in better.items())


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ((0.5, 0.7, 0.5), "herding: better than every other coreset"),
        ((0.4, 0.7, 0.7), "No single one: random is beaten by herding and k_center, and no coreset beats every other"),
        ((0.5, 0.5, 0.5), "None: no coreset is shown to be better than random"),
    ],
)
def test_one_setting_is_not_counted(verdicts, truth, said):
    by_method = dict(zip(("random", "herding", "k_center"), truth, strict=True))
    own = verdicts(truth=by_method, protocols=("erm",), budgets=("ipc=10",), students=("net",))
    assert which(own)[0] == said


def test_where_none_is_separated_from_random_it_is_said(verdicts):
    own = verdicts(truth=dict.fromkeys(("random", "herding", "k_center"), 0.5), noise=0.05)
    assert not counted(own, "better", lambda v: v.random and v.random.verdict)
    assert which(own)[0] == "None: no coreset is shown to be better than random in any of 6 settings"


def test_without_random_the_others_are_still_compared(verdicts):
    methods = {"herding": ("coreset", False), "k_center": ("coreset", False)}
    own = verdicts(methods=methods, truth={"herding": 0.5, "k_center": 0.5}, noise=0.05)
    assert which(own)[0] == "Open: no coreset is shown to be better than every other in any of 6 settings"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"replicates": 2}, "it takes 3 sets per method to show anything; this study has 2"),
        ({"methods": {"random": ("coreset", True)}}, "the study needs two coresets"),
        ({"holes": lambda labels: labels["kind"] == "train"}, "no pair of students has been trained yet"),
        (
            {"budgets": ("ipc=1",), "truth": dict.fromkeys(("random", "herding", "k_center"), 0.05)},
            "no setting can be read",
        ),
    ],
)
def test_what_cannot_be_said_says_why(verdicts, changes, why):
    answer, because = which(verdicts(**changes))
    assert answer.startswith(f"No answer: {why}") and because.endswith(".")
