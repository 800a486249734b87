"""How often one set names the wrong winner, against loops over all pairs and sets."""

import csv
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from one_set import EDGES, Setting, by_size, conclusions, deviations, draw, groups, sets, sizes

COUNTS = arrays(float, st.tuples(st.integers(2, 5), st.integers(2, 6)), elements=st.integers(0, 9).map(float))


def naive(values, a, b, n):
    """Whether set n is overturned, and by what."""
    one = values[a][n] - values[b][n]
    others = [values[a][k] - values[b][k] for k in range(len(values[a])) if k != n]
    mean = math.fsum(others) / len(others)
    return 0.5 if mean == 0 or one == 0 else float((one > 0) != (mean > 0)), abs(mean)


@given(values=COUNTS)
def test_each_pair_and_set_is_as_in_a_loop(values):
    overturned, size = conclusions(values)
    for a in range(len(values)):
        for b in range(len(values)):
            for n in range(values.shape[1]):
                word, mean = naive(values.tolist(), a, b, n)
                assert overturned[a, b, n] == word
                assert size[a, b, n] == pytest.approx(mean, abs=1e-8)


@given(values=st.lists(COUNTS, min_size=1, max_size=3))
def test_shares_are_over_all_pairs_of_all_settings(values):
    told = by_size(values)
    tallies = [[0.0, 0] for _ in told]
    for own in values:
        for a in range(len(own)):
            for b in range(a):
                for n in range(own.shape[1]):
                    word, mean = naive(own.tolist(), a, b, n)
                    bin_ = max(at for at, edge in enumerate(EDGES[:-1]) if mean >= edge - 1e-9)
                    tallies[bin_][0] += word
                    tallies[bin_][1] += 1
    for share, (wrong, count) in zip(told, tallies, strict=True):
        assert share.n == count
        if count:
            assert share.mean == pytest.approx(wrong / count) and 0 <= share.lo <= share.hi <= 1
        else:
            assert math.isnan(share.mean) and str(share) == ""


def test_no_difference_is_a_coin_and_a_large_one_is_never_overturned():
    rng = np.random.default_rng(0)
    alike = rng.normal(60, 1, (30, 12))
    (share,) = by_size([alike], (0.0, math.inf))
    assert share.mean == pytest.approx(0.5, abs=0.05) and share.lo < 0.5 < share.hi
    apart = alike + 20 * np.arange(30)[:, None]
    assert by_size([apart])[-1][:3] == (0.0, 0.0, 0.0)


def test_sets_to_see_a_gain_are_those_of_the_deviation_between_sets():
    values = np.random.default_rng(0).normal(0, 1, (6, 4000))
    assert deviations([values]) == pytest.approx(np.full(15, 2**0.5), rel=0.1)
    assert sets(2.0) == ["34", "10", "6"]  # one two-sided paired t test at 5 %, with 80 %


def test_students_of_methods_with_ten_sets_are_read(tmp_path):
    path = tmp_path / "pruning.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["data", "method", "protocol", "budget", "condense_replicate", "train_replicate", "accuracy"],
        )
        for method, number in (("random", 10), ("rded", 11), ("rded_bf16", 10), ("few", 9), ("full", 10)):
            for n in reversed(range(number)):
                rows.writerow(["fashion_mnist", method, "erm", "ipc=10", n, 0, 0.5 + n / 100])
                rows.writerow(["fashion_mnist", method, "erm", "ipc=10", n, 1, 0])
        rows.writerow(["fashion_mnist", "random", "erm", "ipc=1", 0, 0, 0.1])
    (group,) = groups(path)
    assert group.name == "Fashion-MNIST, 10 to 90 % kept, rankings"
    (values,) = group.accuracies.values()
    assert list(group.accuracies) == [Setting("fashion_mnist", "erm", "ipc=10")]
    np.testing.assert_allclose(values, 50 + np.tile(np.arange(10.0), (2, 1)))
    assert conclusions(values)[0].tolist() == np.full((2, 2, 10), 0.5).tolist()


def test_the_picture_has_a_place_for_each_size(tmp_path):
    pytest.importorskip("matplotlib")
    assert sizes() == ["0 to 0.5", "0.5 to 1", "1 to 2", "2 to 4", "over 4"]
    draw({"one": by_size([np.random.default_rng(0).normal(60, 1, (12, 10))])}, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
