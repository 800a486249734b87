"""What labels and images add to random sets: paired, beside the right reference, without controls."""

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import points


@pytest.fixture
def rows(tmp_path):
    """Two sets of each: labels add 10 and 12, rded 1 and 3 under hard labels, nothing under a teacher's."""
    made = {
        ("random", "erm"): (50, 60),
        ("random", "single_teacher"): (60, 72),
        ("rded", "erm"): (51, 63),
        ("rded", "single_teacher"): (60, 72),
        ("random_crops", "erm"): (99, 99),
        ("full", "erm"): (99, 99),
    }
    path = tmp_path / "decoupled.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["budget", "method", "protocol", "condense_replicate", "train_replicate", "accuracy"])
        for (method, protocol), values in made.items():
            writer.writerows(["ipc=10", method, protocol, at, 0, value / 100] for at, value in enumerate(values))
    return path


def test_gains_are_paired_with_random_under_the_same_labels(rows):
    found = {(each.kind, each.who, each.protocol): each.points for each in points.gains("decoupled", rows)}
    assert {key: round(each.mean, 6) for key, each in found.items()} == {
        ("labels", "single_teacher", "single_teacher"): 11.0,
        ("distillation", "rded", "erm"): 2.0,
        ("distillation", "rded", "single_teacher"): 0.0,
    }
    assert all(each.n == 2 for each in found.values())


def test_a_method_that_the_study_has_not_is_not_left_out_in_silence(rows):
    with pytest.raises(SystemExit, match=r"rows of random_crops, rded, which examples/coresets\.toml has not"):
        points.gains("coresets", rows)


def test_a_control_is_no_contender_and_a_coreset_has_its_family():
    assert points.contenders("decoupled")["random_crops"] == points.contenders("generative")["plain"] == ""
    families = points.contenders("fashion_mnist")
    assert families["herding"] == "coreset" and families["sre2l"] == "distillation"


def test_a_line_has_the_smallest_and_the_largest_gain(rows):
    (line,) = points.lines(points.gains("decoupled", rows))
    assert line[:2] == ["Fashion-MNIST, decoupled methods", "IPC 10"]
    assert line[2].startswith("+11.0 [") and line[3] == "" and line[-1] == "0"
    assert line[4].startswith("+0.0 [0.0, 0.0] (rded, single_teacher) to +2.0 [")
