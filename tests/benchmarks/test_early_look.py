"""What a look after three of five sets decides."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from early_look import At, read, told, visible


def differences(means, sd, protocols=2):
    """Of as many methods, with five sets each, in a few protocols."""
    rng = np.random.default_rng(0)
    return {
        At(f"m{i}", "ipc=1", (f"p{p}",)): {(r, 0): mean + sd * x for r, x in enumerate(rng.normal(size=5))}
        for i, mean in enumerate(means)
        for p in range(protocols)
    }


def test_what_is_far_apart_is_decided_early_and_what_is_equal_never():
    far = told(differences([0.3, -0.3, 0.2], 1e-4))
    assert (far.asked, far.early, far.plain, far.budgets, far.saved) == (6, 6, 6, 3, 3)
    assert told(differences([0.0, 0.0, 0.0], 0.05))[1:] == (0, 0, 0, 3, 0)


def test_a_method_needs_no_more_sets_only_where_all_its_settings_are_decided():
    known = differences([0.3, 0.3], 1e-4)
    open_ = {at: {place: 0.0 + 0.05 * (place[0] % 2) for place in own} for at, own in known.items()}
    mixed = {at: open_[at] if at.method == "m0" and at.rest == ("p0",) else own for at, own in known.items()}
    assert told(mixed).early == 3 and told(mixed).saved == 1


def test_what_a_look_sees_is_by_students_t():
    early, late = visible(1)
    assert early == pytest.approx(stats.t.ppf(1 - 0.05 * 0.216 / 2, 2) / 3**0.5)
    assert late == pytest.approx(stats.t.ppf(1 - 0.05 * 0.784 / 2, 4) / 5**0.5)


def test_rows_are_paired_with_random_by_replicate(tmp_path):
    names = ["data", "method", "protocol", "student", "budget", "condense_replicate", "train_replicate", "accuracy"]
    rows = [
        ("d", m, "erm", "s", "ipc=1", r, 0, a + r / 10) for m, a in (("random", 0.1), ("dm", 0.3)) for r in range(5)
    ]
    rows += [("d", "few", "erm", "s", "ipc=1", r, 0, 0.5) for r in range(3)]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    ((at, own),) = read(tmp_path / "rows.csv").items()
    assert at == At("dm", "ipc=1", ("d", "erm", "s"))
    assert own == pytest.approx({(r, 0): 0.2 for r in range(5)})
