"""A protocol whose own ceiling is low is named; one that is merely noisy is not."""

from dataclasses import replace

from decoct.report.findings.cautions import cautions, few_images, generators
from decoct.report.findings.verdict import Setting, Verdict
from decoct.report.stats.comparisons import compare
from decoct.report.stats.intervals import Interval, wilson


def ceiling(protocol, right, n=1000, student="convnet3"):
    return Setting(protocol, student, "all"), wilson(right, n)


def test_a_protocol_that_does_not_learn_even_the_full_data_is_named():
    (line,) = cautions([ceiling("erm", 940), ceiling("multi_teacher", 140)])
    assert "multi_teacher" in line
    assert "14.0 %" in line and "94.0 %" in line


def test_ceilings_that_are_close_or_uncertain_are_not_named():
    assert cautions([ceiling("erm", 940), ceiling("single_teacher", 900)]) == ()
    assert cautions([ceiling("erm", 9, n=10), ceiling("single_teacher", 7, n=10)]) == ()


def test_students_are_compared_with_themselves_only():
    assert cautions([ceiling("erm", 940), ceiling("erm", 300, student="tiny")]) == ()


def test_without_a_ceiling_there_is_nothing_to_say():
    assert cautions([]) == ()


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
