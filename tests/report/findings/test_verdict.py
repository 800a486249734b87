"""Verdicts on planted truths: what is said follows from the results and from nothing else."""

import pytest

from decoct.report import frame
from decoct.report.summary import summarise


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder), folder / "report.html")


def words(found, method):
    return {found.verdict(method, s).against_coresets for s in found.settings}


def test_planted_differences_are_found(builder):
    found = summary(builder)
    assert words(found, "rded") == {"better"}
    assert words(found, "sre2l") == {"worse"}
    assert found.worth.answer == "Yes, with rded"
    assert "rded in 6 of 6" in found.worth.because
    assert all(
        found.verdict("rded", s).random.lo < 0.10 < found.verdict("rded", s).random.hi for s in found.settings[:1]
    )


def test_worse_everywhere_is_no(builder):
    builder.truth |= {"rded": 0.3}
    assert summary(builder).worth.answer == "No"


def test_equal_methods_are_equivalent_not_better(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.5)
    builder.noise, builder.test_images = 0.0005, 10_000
    found = summary(builder)
    assert words(found, "rded") == {"equivalent"}
    assert found.worth.answer == "No"


def test_too_few_replicates_leave_it_open_and_say_how_many_it_takes(builder):
    builder.truth |= {"rded": 0.54, "sre2l": 0.54}
    builder.noise, builder.replicates = 0.04, 3
    found = summary(builder)
    assert found.worth.answer in ("Undecided", "Not shown")
    open_ = [v for v in found.verdicts if v.against_coresets == "undecided" and v.needed]
    assert open_ and all(v.needed > 3 for v in open_)
    assert any(f"about {v.needed} replicates would decide" in " ".join(v.sentences()) for v in open_)


def test_one_replicate_decides_nothing(builder):
    builder.replicates = 1
    found = summary(builder)
    assert {v.against_coresets for v in found.verdicts} == {"undecided"}
    assert found.worth.answer == "Undecided"
    assert "it needs at least 2 replicates" in found.verdict("rded", found.settings[0]).sentences()[0]
    assert "NaN" not in str(found.to_json()) and "nan" not in str(found.to_json())


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        (("random", "herding"), "no distillation method"),
        (("rded",), "no coreset"),
        (("rded", "sre2l"), "no coreset"),
    ],
)
def test_what_is_not_in_the_study_cannot_be_said(builder, methods, reason):
    builder.methods = {m: builder.methods[m] for m in methods}
    found = summary(builder)
    assert found.worth.answer == "Cannot be said"
    assert reason in found.worth.because


def test_random_alone_is_a_coreset_too(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "rded")}
    found = summary(builder)
    assert words(found, "rded") == {"better"}
    assert found.worth.answer == "Yes"


def test_a_study_without_random_compares_with_the_coresets(builder):
    builder.methods = {m: builder.methods[m] for m in ("herding", "rded")}
    found = summary(builder)
    assert found.verdict("rded", found.settings[0]).random is None
    assert words(found, "rded") == {"better"}


def test_a_hole_costs_pairs_and_a_missing_method_its_verdict(builder):
    def hole(labels):
        lost = labels.get("method") == "k_center" or labels.get("condense_replicate") == 2
        return labels["kind"] == "train" and lost

    builder.holes = hole
    found = summary(builder)
    first = found.verdict("rded", found.settings[0])
    assert first.random.n == 4
    assert first.coresets["k_center"].n == 0
    assert first.against_coresets == "undecided"  # better than all that were trained is not better than all


def test_nothing_trained_yet(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    found = summary(builder)
    assert found.worth.answer == "Cannot be said"
    assert (found.trained, found.planned) == (0, 153)


def test_one_lucky_setting_among_many_does_not_survive_holm(builder):
    """One of 60 comparisons at p ≈ .02: better there alone, not a claim about distilling."""
    from decoct.report.findings.verdict import Setting, verdicts, worth

    lucky = {0: 0.020, 1: 0.012, 2: 0.035, 3: 0.028, 4: 0.009}
    noise = {0: 0.03, 1: -0.03, 2: 0.02, 3: -0.02, 4: 0.0}
    random = {(c, 0): 0.5 for c in range(5)}
    runs = {
        Setting("erm", "net", f"ipc={i}"): {
            "random": random,
            "rded": {(c, 0): 0.5 + (lucky if i == 1 else noise)[c] for c in range(5)},
        }
        for i in range(1, 61)
    }
    found = verdicts(runs, {"random": "coreset", "rded": "distillation"}, 0.01, 0.0)
    assert [v.against_coresets for v in found if v.method == "rded"].count("better") == 1
    said = worth(found)
    assert said.answer == "Undecided"
    assert "none survives Holm" in said.because


def test_the_ceiling_has_wilsons_interval(builder):
    from scipy.stats import binomtest

    found = summary(builder)
    expected = binomtest(349, 360).proportion_ci(method="wilson")  # 0.97 of 360 test images
    assert {(a.interval.n, round(a.interval.lo, 9)) for a in found.ceiling} == {(360, round(expected.low, 9))}


def test_a_word_against_random_is_sure_if_it_survives_holm_over_all_methods_and_settings(builder):
    from decoct.report import stats

    builder.truth |= {"rded": 0.515, "sre2l": 0.49}
    builder.noise, builder.test_images = 0.006, 10_000
    found = [v for v in summary(builder).verdicts if v.random]
    assert len(found) == 6 * 4
    kept = {"better": 0.025, "worse": 0.025, "equivalent": 0.05}
    p = {
        "better": stats.holm([v.random.p_better for v in found]),
        "worse": stats.holm([v.random.p_worse for v in found]),
        "equivalent": stats.holm([v.random.p_equivalent for v in found]),
    }
    for i, v in enumerate(found):
        word = v.random.verdict
        assert v.random_sure == (word in kept and p[word][i] < kept[word])
    assert {v.random_sure for v in found if v.random.verdict in kept} == {True, False}


def test_random_itself_and_a_study_without_random_have_nothing_that_is_sure(builder):
    assert not any(v.random_sure or v.components for v in summary(builder).verdicts if v.method == "random")
    del builder.methods["random"]
    builder.folder, builder.jobs = builder.folder.with_name("other"), []
    assert not any(v.random_sure or v.components for v in summary(builder).verdicts)


def test_a_lucky_word_is_not_sure_among_many():
    from decoct.report.findings.verdict import sure
    from decoct.report.stats import compare

    lucky, noise = compare([0.020, 0.012, 0.035, 0.028, 0.009]), compare([0.03, -0.03, 0.02, -0.02, 0.0])
    assert lucky.verdict == "better"
    assert sure([lucky]) == [True] and sure([]) == []
    assert sure([lucky] + [noise] * 59) == [False] * 60


def test_each_setting_says_what_its_replicates_would_find(builder):
    from statistics import median

    found = summary(builder)
    assert len(found.detectable) == len(found.settings)
    sizes = [c.detectable for v in found.verdicts if v.setting == found.settings[0] for c in v.coresets.values()]
    assert found.detectable[0].startswith("erm, convnet3_w32, IPC 1: in 4 of 5 studies, 5 replicates find")
    assert f"of {100 * median(sizes):.1f} points for half of the pairs" in found.detectable[0]
    assert f"of {100 * max(sizes):.1f} points for all" in found.detectable[0]


def test_one_replicate_finds_nothing_and_says_nothing_of_it(builder):
    builder.replicates = 1
    assert summary(builder).detectable == ()


def test_many_replicates_are_judged_by_the_bootstrap_and_say_so(builder):
    builder.replicates, builder.protocols, builder.budgets = 20, ("erm",), ("ipc=1",)
    v = summary(builder).verdict("rded", ("erm", "convnet3_w32", "ipc=1"))
    assert v.random.by == "bootstrap" and v.random.verdict == "better"
    assert "] (bootstrap), n = 20" in v.sentences()[0]
    assert v.components.sets == 20 and "cannot be told apart" in v.components.sentence()
