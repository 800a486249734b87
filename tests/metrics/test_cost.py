"""Cost: what is known passes through, what is not is NaN, and the rate is bytes over classes."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.interfaces import Measured
from decoct.core.spec import parse
from decoct.metrics.cost import TAKEN, CostOfSet, cost

KNOWN = {
    "total_seconds": 12.5,
    "cpu_seconds": 20.0,
    "device_seconds": 10.0,
    "energy": 3100.0,
    "peak_memory": 2e9,
    "steps": 500,
    "image_bytes": 4000,
    "label_bytes": 30,
}


def measured(classes=10, **more):
    bare = np.empty((classes, 0))
    return Measured(bare, np.arange(classes), {}, {}, tuple(map(str, range(classes))), True, bare, **more)


def test_images_and_labels_are_spread_over_the_classes():
    assert cost(KNOWN, 10) == {**KNOWN, "bytes_per_class": 403.0}
    assert cost(KNOWN, 1)["bytes_per_class"] == 4030.0


@given(st.dictionaries(st.sampled_from(TAKEN), st.none() | st.floats(0, 1e15)), st.integers(1, 1000))
def test_what_is_known_passes_through_and_what_is_not_is_nan(taken, classes):
    found = cost(taken, classes)
    assert tuple(found) == (*TAKEN, "bytes_per_class")
    for name in TAKEN:
        assert found[name] == taken[name] if taken.get(name) is not None else math.isnan(found[name])
    parts = [taken.get("image_bytes"), taken.get("label_bytes")]
    if None in parts:
        assert math.isnan(found["bytes_per_class"])
    else:
        assert found["bytes_per_class"] * classes == pytest.approx(sum(parts))


def test_nothing_is_a_cost_and_not_an_unknown_one():
    free = cost(dict.fromkeys(TAKEN, 0), 3)
    assert set(free.values()) == {0.0}


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("value", [-1, -1e-9, math.inf, -math.inf])
def test_what_cannot_be_a_cost_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        cost({name: value}, 10)


@pytest.mark.parametrize("classes", [0, -1])
def test_a_rate_needs_a_class(classes):
    with pytest.raises(ValueError, match=f"per class, and there are {classes}"):
        cost(KNOWN, classes)


def test_the_metric_reads_the_cost_and_nothing_else():
    metric = parse("metric", "cost")
    assert type(metric) is CostOfSet and (metric.axis, metric.needs) == ("cost", "cost")
    readings = metric(measured(cost=KNOWN))
    assert {r.metric: r.value for r in readings} == cost(KNOWN, 10)
    assert {(r.scope, r.reference, r.classes) for r in readings} == {("pooled", "none", None)}
    assert [r.metric for r in readings] == list(metric.higher_is_better)
    assert set(metric.higher_is_better.values()) == {False}
    assert metric.lead == ("total_seconds", "bytes_per_class")


def test_a_set_of_unknown_cost_has_readings_without_values():
    readings = CostOfSet()(measured())
    assert len(readings) == len(TAKEN) + 1
    assert all(math.isnan(r.value) for r in readings)


def test_it_is_light_enough_for_the_report():
    heavy = ("torch", "scipy", "sklearn", "timm", "decoct.engine")
    code = f"import sys, decoct.metrics.cost; sys.exit(', '.join(m for m in {heavy!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
