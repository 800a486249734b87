"""A protocol whose own ceiling is low is named; one that is merely noisy is not."""

from decoct.report.findings.cautions import cautions
from decoct.report.findings.verdict import Setting
from decoct.report.stats import wilson


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
