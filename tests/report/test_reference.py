"""A reading beside random sets."""

import pytest

from decoct.report import reference

ROW = {"extractor": "teacher", "metric": "coverage", "scope": "pooled", "reference": "val", "value": 0.5}


def random(**changes):
    facts = {key: value for key, value in ROW.items() if key != "value"}
    return reference.by_name([{**facts, "mean": 0.3, "sd": 0.1, "lo": 0.1, "hi": 0.5, "n": 20, **changes}])


def test_z_counts_standard_deviations_of_random_sets():
    found = reference.beside(ROW, random())
    assert found["z"] == pytest.approx(2)
    rest = {"random": 0.3, "random_sd": 0.1, "random_lo": 0.1, "random_hi": 0.5, "random_n": 20}
    assert found == {**ROW, **rest, "z": found["z"]}


@pytest.mark.parametrize(
    "known",
    [
        {},
        random(metric="recall"),
        random(scope="per_class"),
        random(mean=None, sd=None, lo=None, hi=None),
        random(sd=None),
        random(sd=0.0),
        random(mean=1.0, sd=1e-17),  # what rounding leaves of equal values
    ],
)
def test_what_is_unknown_or_always_alike_has_no_z(known):
    assert reference.beside(ROW, known)["z"] is None
    assert reference.beside({**ROW, "value": None}, random())["z"] is None
