"""Verdicts on planted truths: what is said follows from the results and from nothing else."""

from dataclasses import replace

import pytest

from decoct.report.accuracy import Setting
from decoct.report.read import frame
from decoct.report.sections.verdict import Verdict, correction, generators, verdicts, worth
from decoct.report.stats import comparisons
from decoct.report.stats.comparisons import compare
from decoct.report.stats.intervals import Interval
from decoct.report.summary import summarise


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


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
    """One of 60 comparisons at p ≈ .02: better there alone, and no word, no count, no claim about distilling."""
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
    own = [v for v in found if v.method == "rded"]
    assert [v.random.alone for v in own].count("better") == 1
    assert {v.random.verdict for v in own} == {v.against_coresets for v in own} == {"undecided"}
    (lucky_one,) = (v for v in own if v.random.alone == "better")
    assert "undecided after Holm over 60 comparisons: +2.1 points [" in lucky_one.sentences()[0]
    said = worth(found)
    assert said.answer == "Undecided" and "better" not in "".join((said.because, *said.methods))


def test_the_ceiling_has_wilsons_interval(builder):
    from scipy.stats import binomtest

    found = summary(builder)
    expected = binomtest(349, 360).proportion_ci(method="wilson")  # 0.97 of 360 test images
    assert {(a.interval.n, round(a.interval.lo, 9)) for a in found.ceiling.values()} == {(360, round(expected.low, 9))}


def close_study(builder):
    """Differences of which some survive Holm and some do not."""
    builder.truth |= {"rded": 0.535, "sre2l": 0.49}
    builder.noise, builder.test_images = 0.006, 10_000
    return summary(builder)


def test_words_are_those_that_holm_leaves_over_all_pairs_of_methods(builder):
    found = close_study(builder).verdicts
    pairs = {(v.setting, frozenset((v.method, o))): (v.method, c) for v in found for o, c in v.coresets.items()}
    assert len(pairs) == 6 * (2 * 3 + 3)  # distilled with coreset, and coreset with coreset
    family = [c for _, c in pairs.values()]
    apart = comparisons.holm([2 * min(c.p_better, c.p_worse) for c in family])
    alike = comparisons.holm([c.p_equivalent for c in family])
    kept = {
        key: "equivalent" if e < 0.05 else "undecided" if p >= 0.05 else "better" if c.mean > 0 else "worse"
        for key, c, p, e in zip(pairs, family, apart, alike, strict=True)
    }
    turned = {"better": "worse", "worse": "better"}
    best = [(v.setting, v.method) for v in found if v.family == "distillation" and v.against_coresets == "better"]
    seen = set()
    for v in found:
        for other, c in v.coresets.items():
            word = kept[v.setting, frozenset((v.method, other))]
            if pairs[v.setting, frozenset((v.method, other))][0] != v.method:
                word = turned.get(word, word)
            assert c.verdict == ("better" if (v.setting, v.method) in best else word)
            assert c.family == len(pairs)
            seen.add((c.alone, c.verdict))
    assert {("better", "better"), ("worse", "worse"), ("better", "undecided")} <= seen


def test_the_headline_counts_what_survives_holm(builder):
    found = close_study(builder)
    own = [v for v in found.verdicts if v.family == "distillation"]
    p_values = [max(c.p_better for c in v.coresets.values()) for v in own]
    survivors = sum(p < 0.025 for p in comparisons.holm(p_values))
    assert 0 < survivors < sum(p < 0.025 for p in p_values)  # by themselves, more would be counted
    assert [v.against_coresets for v in own].count("better") == survivors
    assert f"than every coreset in {survivors} of 12 comparisons" in found.worth.because
    claim = next(c for c in found.claims.all if c.key == "coresets")
    assert f"better than every coreset in {survivors} of 12" in claim.answer
    lost = [v.against_coresets for v in own].count("worse")
    assert f"{lost} worse" in found.worth.because and f"than at least one in {lost}, after Holm" in claim.answer


def test_what_is_corrected_over_what_is_said_in_one_sentence(builder):
    assert correction(summary(builder).verdicts) == (
        "Better, worse and equivalent are said after Holm over all 54 comparisons of two methods, better than every "
        "coreset after Holm over the 12 asked here"
    )
    two = {Setting("erm", "net", "ipc=1"): {"random": {(0, 0): 0.5, (1, 0): 0.6}, "rded": {(0, 0): 0.5, (1, 0): 0.6}}}
    assert correction(verdicts(two, {"random": "coreset", "rded": "distillation"}, 0.01, 0.0)) == ""
    assert correction([]) == ""


def test_random_itself_and_a_study_without_random_have_no_components(builder):
    assert not any(v.components for v in summary(builder).verdicts if v.method == "random")
    del builder.methods["random"]
    builder.folder, builder.jobs = builder.folder.with_name("other"), []
    assert not any(v.components for v in summary(builder).verdicts)


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
    assert v.components.sets == 20 and v.components.condense is None


def pair(lo, hi, differences=(0.02, 0.021, 0.019)):
    """Two methods against each other, both ways, with an interval over 360 test images."""
    setting = Setting("erm", "convnet3", "ipc=1")
    for a, b, sign in (("herding", "random", 1), ("random", "herding", -1)):
        ends = sorted((sign * lo, sign * hi))
        over = Interval(sign * 0.02, *ends, 360, "images")
        found = replace(compare([sign * d for d in differences]), over_images=over)
        yield Verdict(a, "coreset", setting, None, {b: found}, found.verdict, None)


def test_a_pair_is_counted_once_whichever_way_it_is_told():
    (line,) = few_images(list(pair(-0.01, 0.05)))
    assert line.startswith("1 of 1 difference between two methods that replicates show is shown on these 360")


def test_images_that_agree_and_pairs_that_are_open_are_not_flagged():
    assert few_images(list(pair(0.001, 0.05))) == ()
    assert few_images(list(pair(-0.01, 0.05, (0.02, -0.02, 0.03)))) == ()
    assert few_images([]) == ()


def test_a_difference_without_answers_is_not_counted():
    setting = Setting("erm", "convnet3", "ipc=1")
    found = compare([0.02, 0.021, 0.019])
    assert few_images([Verdict("a", "coreset", setting, None, {"b": found}, "better", None)]) == ()


def test_a_generator_is_named_with_what_it_saw_once_for_all_methods_that_stand_on_it():
    rows = [
        {"method": "random", "seen": ""},
        {"method": "mgd3", "seen": "hub:a/DiT@1 saw ImageNet-1K's train split"},
        {"method": "mgd3", "seen": "hub:a/DiT@1 saw ImageNet-1K's train split"},
        {"method": "igd", "seen": "hub:a/DiT@1 saw ImageNet-1K's train split"},
        {"method": "d4m", "seen": "own saw the train split: 54,000 images"},
        {"method": "herding", "seen": None},
    ]
    hub, own = generators(rows)
    assert hub.startswith("The sets of mgd3, igd come from a generator: hub:a/DiT@1 saw ImageNet-1K's train split.")
    assert own.startswith("The sets of d4m come from a generator: own saw the train split: 54,000 images.")
