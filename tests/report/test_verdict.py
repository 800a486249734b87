"""Verdicts on planted truths: what is said follows from the results and from nothing else."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from decoct.report.accuracy import Setting
from decoct.report.conclusion import conclude
from decoct.report.read import frame
from decoct.report.stats import comparisons, moderated
from decoct.report.stats.answers import Answers
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.crossed import Crossed
from decoct.report.summary import summarise
from decoct.report.verdict import Verdict, correction, generators, verdicts

FAMILIES = {"random": "coreset", "herding": "coreset", "k_center": "coreset", "rded": "distillation"}


def at(budget):
    return Setting("erm", "net", f"ipc={budget}")


def judged(runs, families=FAMILIES, margin=0.01, floor=0.0, **more):
    return verdicts(runs, families, dict.fromkeys(runs, margin), floor, **more)


def sets(*accuracies):
    """One student of each set."""
    return {(c, 0): float(accuracy) for c, accuracy in enumerate(accuracies)}


def summary(builder):
    folder = builder.build()
    return summarise(frame.read(folder))


def words(found, method):
    return {found.verdict(method, s).against_coresets for s in found.settings}


def test_planted_differences_are_found(builder):
    found = summary(builder)
    assert words(found, "rded") == {"better"}
    assert words(found, "sre2l") == {"worse"}
    assert found.brief.answer == "In part: rded beats every coreset in 6 of 6 settings"
    assert all(
        found.verdict("rded", s).random.lo < 0.10 < found.verdict("rded", s).random.hi for s in found.settings[:1]
    )


def test_worse_everywhere_is_no(builder):
    builder.truth |= {"rded": 0.3}
    assert summary(builder).brief.answer.startswith("No: ")


def test_equal_methods_are_the_same_not_better(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.5)
    builder.noise, builder.test_images = 0.0005, 10_000
    found = summary(builder)
    assert words(found, "rded") == {"same"}
    assert found.brief.answer.startswith("No: ")


def test_too_few_replicates_leave_it_open_and_say_how_many_it_takes(builder):
    builder.truth |= {"rded": 0.54, "sre2l": 0.54}
    builder.noise, builder.replicates = 0.04, 3
    found = summary(builder)
    assert found.claims.conclusion.answer == "open"
    open_ = [v for v in found.verdicts if v.against_coresets == "open" and v.needed]
    assert open_ and all(v.needed > 3 for v in open_)
    assert any(f"about {v.needed} sets would decide" in " ".join(v.sentences()) for v in open_)


@pytest.mark.parametrize("replicates", [1, 2])
def test_fewer_than_three_replicates_decide_nothing(builder, replicates):
    builder.replicates = replicates
    found = summary(builder)
    assert {v.against_coresets for v in found.verdicts} == {"open"}
    assert {c.verdict for v in found.verdicts for c in v.coresets.values()} == {"open"}
    assert found.brief.answer.startswith("No answer: ") and "it takes 3 sets" in found.brief.answer
    assert f", n = {replicates}; it takes 3 replicates" in found.verdict("rded", found.settings[0]).sentences()[0]
    assert "NaN" not in str(found.to_json()) and "nan" not in str(found.to_json())


@pytest.mark.parametrize(
    ("methods", "reason"),
    [
        (("rded",), "no coreset"),
        (("rded", "sre2l"), "no coreset"),
    ],
)
def test_what_is_not_in_the_study_cannot_be_said(builder, methods, reason):
    builder.methods = {m: builder.methods[m] for m in methods}
    found = summary(builder)
    assert found.brief.answer.startswith("No answer: ") and reason in found.brief.answer


def test_random_alone_is_a_coreset_too(builder):
    builder.methods = {m: builder.methods[m] for m in ("random", "rded")}
    found = summary(builder)
    assert words(found, "rded") == {"better"}
    assert found.brief.answer.startswith("Yes: rded beats every coreset")


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
    assert first.against_coresets == "open"  # better than all that were trained is not better than all


def test_nothing_trained_yet(builder):
    builder.holes = lambda labels: labels["kind"] == "train"
    found = summary(builder)
    assert "no pair of students has been trained yet" in found.brief.answer
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
    found = judged(runs, {"random": "coreset", "rded": "distillation"})
    own = [v for v in found if v.method == "rded"]
    (lucky_one,) = (v for v in own if v.random.alone == "better")
    assert lucky_one.random.verdict == lucky_one.against_coresets == "leans better"
    assert {v.random.verdict for v in own if v is not lucky_one} == {"open"}
    assert {v.against_coresets for v in own if v is not lucky_one} == {"open"}
    assert lucky_one.random.family == 60 and "rded against random leans better: +2.1 points [" in str(
        lucky_one.sentences()
    )


def test_the_ceiling_has_wilsons_interval(builder):
    from scipy.stats import binomtest

    found = summary(builder)
    expected = binomtest(349, 360).proportion_ci(method="wilson")  # 0.97 of 360 test images
    assert {(a.interval.n, round(a.interval.lo, 9)) for a in found.ceiling.values()} == {(360, round(expected.low, 9))}


def close_study(builder):
    """Differences of which some survive Holm and some do not."""
    builder.truth |= {"rded": 0.535, "sre2l": 0.49}
    builder.noise, builder.test_images = 0.008, 10_000
    return summary(builder)


def test_words_are_those_that_holm_leaves_over_all_pairs_of_methods(builder):
    """Each pair by hand: its own t, the moderated t of its kind, Holm over all 54, better than all over 12."""
    said = close_study(builder)
    found, floor, fixed = said.verdicts, said.frame.floor, said.run.deterministic
    runs = {}
    for row in said.frame.results.to_pylist():
        runs.setdefault((row["method"], Setting.of(row)), {})[row["condense_replicate"]] = row["accuracy"]
    pairs = {(v.setting, *sorted((v.method, o))) for v in found for o in v.coresets}
    assert len(pairs) == 6 * (2 * 3 + 3)  # distilled with coreset, and coreset with coreset
    order = sorted(pairs)
    d = [np.array([runs[a, s][c] - runs[b, s][c] for c in sorted(runs[a, s])]) for s, a, b in order]
    variances = [max(x.std(ddof=1), floor) ** 2 for x in d]
    kinds = [(a in fixed) + (b in fixed) for _, a, b in order]
    assert Counter(kinds) == {0: 12, 1: 36, 2: 6}  # herding and k_center are one set each
    of_kind = {k: [v for v, own in zip(variances, kinds, strict=True) if own == k] for k in (0, 1, 2)}
    priors = {k: moderated.prior(own, [4] * len(own)) for k, own in of_kind.items()}

    def tails(x, variance, df):
        def tail(distance):
            return reference.t.sf(distance / math.sqrt(variance / 5), df)

        m = x.mean()
        return tail(m), tail(-m), max(tail(m + 0.01), tail(0.01 - m))

    alone = [tails(x, v, 4) for x, v in zip(d, variances, strict=True)]
    pooled = []
    for x, v, k in zip(d, variances, kinds, strict=True):
        s0, d0 = priors[k]
        pooled.append(tails(x, (d0 * s0 + 4 * v) / (d0 + 4) if d0 else v, d0 + 4))
    apart = comparisons.holm([2 * min(up, down) for up, down, _ in pooled])
    alike = comparisons.holm([p for *_, p in pooled])

    def word(up, down, p, same):
        return "same" if same < 0.05 else "open" if p >= 0.05 else "better" if up < down else "worse"

    kept = {}
    for key, own, shared, p, q in zip(order, alone, pooled, apart, alike, strict=True):
        one, carried = word(*own[:2], 2 * min(own[:2]), own[2]), word(*shared[:2], p, q)
        away = 2 * min(own[:2]) < 0.05  # its own interval is on one side of 0
        sure = carried != "open" and (carried == one or (carried != "same" and away))
        kept[key] = carried if sure else f"leans {one}" if one in ("better", "worse") else "open"
    turned = {"better": "worse", "worse": "better", "leans better": "leans worse", "leans worse": "leans better"}
    best = [(v.setting, v.method) for v in found if v.family == "distillation" and v.against_coresets == "better"]
    seen = set()
    for v in found:
        for other, c in v.coresets.items():
            expected = kept[v.setting, *sorted((v.method, other))]
            expected = expected if v.method < other else turned.get(expected, expected)
            assert c.verdict == ("better" if (v.setting, v.method) in best else expected)
            assert c.family == len(pairs) and c.prior == pytest.approx(priors[len({v.method, other} & fixed)])
            seen.add((c.alone, c.verdict))
    assert {("better", "better"), ("worse", "worse"), ("better", "leans better"), ("open", "open")} <= seen


def test_a_pair_of_fixed_methods_borrows_from_its_like_alone():
    """herding and k_center are one set each: their difference spreads a tenth as widely, and lends that to no other."""
    rng = np.random.default_rng(0)
    wide, narrow = ("random", "rded"), ("herding", "k_center")
    runs = {
        at(i): {m: sets(*(0.5 + rng.normal(0, 0.02 if m in wide else 0.002, 5))) for m in FAMILIES} for i in range(1, 9)
    }
    found = judged(runs, fixed=narrow)

    def prior(pairs):
        differences = [[runs[s][a][c, 0] - runs[s][b][c, 0] for c in range(5)] for s in runs for a, b in pairs]
        return moderated.prior([np.var(d, ddof=1) for d in differences], [4] * len(differences))

    expected = {
        0: prior([("rded", "random")]),
        1: prior([(a, b) for a in wide for b in narrow]),
        2: prior([("herding", "k_center")]),
    }
    assert expected[2].variance < expected[1].variance / 10 and min(p.df for p in expected.values()) > 0
    for v in found:
        for other, c in v.coresets.items():
            assert c.prior == pytest.approx(expected[len({v.method, other} & set(narrow))])
    one_kind = judged(runs)  # were nobody told that they are fixed
    assert len({c.prior for v in one_kind for c in v.coresets.values()}) == 1


def test_three_replicates_borrow_nothing():
    rng = np.random.default_rng(1)
    runs = {at(i): {m: sets(*rng.normal(0.5, 0.02, 3)) for m in FAMILIES} for i in range(1, 9)}
    for v in judged(runs):
        for c in v.coresets.values():
            assert c.prior.df > 0 and c.p_better == c.own.above() and c.p_worse == c.own.below()


def test_the_headline_counts_what_survives_holm(builder):
    found = close_study(builder)
    own = [v for v in found.verdicts if v.family == "distillation"]
    pairs = {(v.setting, *sorted((v.method, o))): c for v in found.verdicts for o, c in v.coresets.items()}
    apart = dict(zip(pairs, comparisons.holm([2 * min(c.p_better, c.p_worse) for c in pairs.values()]), strict=True))
    alone = [all(c.alone == "better" for c in v.coresets.values()) for v in own]
    each = [
        all(apart[v.setting, *sorted((v.method, o))] < 0.05 and c.alone == "better" for o, c in v.coresets.items())
        for v in own
    ]
    better = sum(each)
    assert 0 < better < sum(alone)  # by themselves, more would be counted
    assert [v.against_coresets for v in own].count("better") == better
    counts = Counter(v.against_coresets for v in own)
    assert f": {better} beat every coreset" in found.brief.lines[2] and counts["worse"]
    assert f" {counts['worse']} lose to at least one" in found.brief.lines[2]


def test_what_is_corrected_over_what_is_said_in_one_sentence(builder):
    assert correction(summary(builder).verdicts) == (
        "Better, worse and same are said after Holm over all 54 comparisons of two methods"
    )
    two = {at(1): {"random": sets(0.5, 0.6), "rded": sets(0.5, 0.6)}}
    assert correction(judged(two, {"random": "coreset", "rded": "distillation"})) == ""
    assert correction([]) == ""


NOISE = (0.01, -0.01, 0.004, -0.004, 0.0)


def planted(by, noise=NOISE):
    """rded ``by`` ahead of three coresets that are alike, each in an order of its own."""
    others = {m: sets(*(0.5 + x for x in np.roll(noise, i))) for i, m in enumerate(("random", "herding", "k_center"))}
    return {**others, "rded": sets(*(0.5 + by + x for x in np.roll(noise, 3)))}


def test_a_setting_outside_leans_at_most_and_is_in_no_count():
    inside = {at(1): planted(0.1), at(2): planted(-0.1)}
    everything = {**inside, at(10): planted(0.3), at(20): planted(-0.3), at(30): planted(0.0)}
    why = {at(10): "unreadable", at(20): "native", at(30): "native"}
    found, without = judged(everything, outside=why), judged(inside)
    assert [v for v in found if v.setting in inside] == without  # words, families and priors of the rest
    out = {v.setting: v for v in found if v.setting in why and v.method == "rded"}
    assert {s: v.outside for s, v in out.items()} == why
    assert [v.against_coresets for v in out.values()] == ["leans better", "leans worse", "open"]
    assert {c.alone for c in out[at(10)].coresets.values()} == {"better"}
    for v in out.values():
        assert {(c.family, c.needed) for c in v.coresets.values()} == {(0, None)} and v.needed is None
        assert "would decide" not in " ".join(v.sentences()) and v.random is v.coresets["random"]
    assert correction(found) == correction(without)
    assert "all 12 comparisons of two methods" in correction(found)


def test_with_nothing_readable_it_cannot_be_said():
    runs = {at(i): planted(0.1) for i in (1, 2)}
    found = judged(runs, outside=dict.fromkeys(runs, "unreadable"))
    assert "no setting can be read" in conclude({"digits": found}).text
    assert correction(found) == ""


def test_each_setting_has_a_margin_of_its_own():
    runs = {at(1): planted(0.0, (0.001, -0.001, 0.0, 0.0005, -0.0005)), at(2): planted(0.0, np.array(NOISE) / 10)}
    found = verdicts(runs, FAMILIES, {at(1): 0.0001, at(2): 0.02}, 0.0)
    assert {(v.setting, c.margin, c.verdict) for v in found for c in v.coresets.values()} == {
        (at(1), 0.0001, "open"),
        (at(2), 0.02, "same"),
    }
    assert any("within 2 points" in line for v in found if v.setting == at(2) for line in v.sentences())


def test_an_open_word_names_every_coreset_that_leaves_it_open():
    words = {"random": "same", "herding": "leans better", "k_center": "better"}
    against = {m: Comparison(Crossed(5, 0.01, 1e-4), 0.01, verdict=word) for m, word in words.items()}
    v = Verdict("rded", "distillation", at(1), None, against, comparisons.against_all(list(against.values())), None)
    assert v.sentences() == ["rded against the best coreset is open (against herding)"]


@given(st.lists(st.sampled_from(comparisons.WORDS), min_size=3, max_size=3))
def test_every_word_over_all_coresets_has_a_sentence_that_names_those_behind_it(words):
    names = ("random", "herding", "k_center")
    against = {m: Comparison(Crossed(5, 0.02, 1e-4), 0.01, verdict=w) for m, w in zip(names, words, strict=True)}
    word = comparisons.against_all(list(against.values()))
    (line,) = Verdict("rded", "distillation", at(1), None, against, word, None).sentences()
    assert word.removeprefix("leans ") in line and "()" not in line and "against )" not in line
    named = {name for name in names if name in line}
    if word in ("worse", "leans worse"):
        assert named == {m for m, w in zip(names, words, strict=True) if w == word}
    if word == "open":
        assert named == {m for m, w in zip(names, words, strict=True) if w not in comparisons.SHOWN}


def test_random_itself_and_a_study_without_random_have_no_components(builder):
    assert not any(v.components for v in summary(builder).verdicts if v.method == "random")
    del builder.methods["random"]
    builder.folder, builder.jobs = builder.folder.with_name("other"), []
    assert not any(v.components for v in summary(builder).verdicts)


@pytest.mark.parametrize("n", [19, 20, 21])
def test_more_sets_never_know_less(n):
    """20 points behind in 84 settings, 336 comparisons: no number of sets is one from which on nothing is shown."""
    rng = np.random.default_rng(n)
    runs = {}
    for i in range(84):
        runs[at(i + 1)] = {m: sets(*rng.normal(0.3 if m == "rded" else 0.5, 0.02, n)) for m in FAMILIES}
    found = [v for v in judged(runs) if v.method == "rded"]
    assert {(v.against_coresets, v.random.n, v.random.family) for v in found} == {("worse", n, 84 * 6)}


def test_twenty_sets_of_one_student_each_have_their_spread_in_one(builder):
    builder.replicates, builder.protocols, builder.budgets = 20, ("erm",), ("ipc=1",)
    v = summary(builder).verdict("rded", ("erm", "convnet3_w32", "ipc=1"))
    assert v.random.verdict == "better" and "], n = 20" in v.sentences()[0]
    assert v.components.sets == 20 and v.components.condense is None


def answered(right, total):
    """Two methods whose sets agree on every image: of ``total`` test images, rded has ``right`` and random the half."""
    mask = {"rded": np.arange(total) < right, "random": np.arange(total) < total // 2}
    keys = {(m, at(1)): {(c, 0): m for c in range(5)} for m in mask}
    runs = {at(1): {m: sets(*[own.mean()] * 5) for m, own in mask.items()}}
    families = {"random": "coreset", "rded": "distillation"}
    floor = math.sqrt(1 / 6) / total
    return [judged(runs, families, floor=floor, answers=known)[1] for known in (Answers(keys, mask.get), None)]


def test_sets_that_agree_on_a_handful_of_test_images_show_nothing():
    """12 of 20 images and 10: McNemar's 2 and 0 discordant pairs, p = .5; of 2,000 images 200 and 0."""
    few, unasked = answered(12, 20)
    assert few.random.over_images.n == 20 and few.random.over_images.lo < 0
    assert (few.random.verdict, few.against_coresets) == ("open", "open")
    assert unasked.random.verdict == "better" and unasked.random.over_images is None  # for these test images alone
    assert few.random.lo < few.random.over_sets.lo and few.random.interval.by == "both"
    many, _ = answered(1200, 2000)
    assert many.random.verdict == many.against_coresets == "better" and many.random.over_images.lo > 0


def test_a_pair_of_coresets_is_told_alike_from_both_sides(builder):
    found = close_study(builder).verdicts
    told = {(v.setting, v.method, other): c for v in found for other, c in v.coresets.items()}
    both = [(key, c) for key, c in told.items() if (key[0], key[2], key[1]) in told]
    assert len(both) == 6 * 6
    for (setting, a, b), c in both:
        assert told[setting, b, a] == comparisons.turned(c)


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
