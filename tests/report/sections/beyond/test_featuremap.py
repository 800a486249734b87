"""The map: real images in grey, a set's own marks, and what is left out."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.conftest import view

from decoct.core.errors import DecoctError
from decoct.report.read import frame
from decoct.report.sections.beyond import featuremap
from decoct.report.sections.beyond.featuremap import Places
from decoct.report.summary import summarise


@pytest.fixture
def drawn(builder):
    def draw(**changes):
        for key, value in ({"maps": True} | changes).items():
            setattr(builder, key, value)
        tables = frame.read(builder.build())
        summary = summarise(tables)
        page = featuremap.show(view(summary), tables.manifest)
        return page, [json.loads(raw) for raw in re.findall(r'<script type="application/json">(.*?)</script>', page)]

    return draw


def test_replicate_0_of_every_method_among_the_real_images(drawn, builder):
    page, figures = drawn()
    assert len(figures) == 2  # budgets
    for figure, n in zip(figures, (10, 100), strict=True):
        go.Figure(figure)
        real, *sets = figure["data"]
        assert "method" not in real["meta"] and real["meta"]["class"] == [c % 10 for c in range(50)]
        assert [t["meta"]["method"] for t in sets] == list(builder.methods)
        assert all(len(t["x"]) == n and t["meta"]["class"] == [c % 10 for c in range(n)] for t in sets)
        assert "50 % of variance" in figure["layout"]["xaxis"]["title"]["text"]
    assert "These two hold 75 % of the variance" in page and "50 training images" in page
    assert page.count("<option") == 11


def test_places_are_those_that_were_stored(drawn, builder):
    _, figures = drawn()
    (job,) = [
        j
        for j in builder.jobs
        if j["kind"] == "measure"
        and (j["labels"]["method"], j["labels"]["budget"], j["labels"]["condense_replicate"]) == ("rded", "ipc=1", 0)
    ]
    stored = np.load(next(builder.folder.glob(f"store/measure/*/{job['key']}/map.npy")))
    (trace,) = [t for t in figures[0]["data"] if t["meta"].get("method") == "rded"]
    np.testing.assert_allclose(np.array([trace["x"], trace["y"]]).T, stored, rtol=1e-3)


def test_a_run_of_before_has_no_map(drawn):
    assert drawn(maps=False) == ("", [])


def test_a_set_without_a_map_is_named(drawn):
    page, figures = drawn(holes=lambda labels: labels["kind"] == "measure" and labels["method"] == "sre2l")
    assert "none of <bdi>sre2l</bdi>" in page
    assert all(t["meta"].get("method") != "sre2l" for f in figures for t in f["data"])


def test_a_damaged_map_is_named(drawn, builder):
    drawn()
    for file in builder.folder.glob("store/measure/*/*/map.npy"):
        file.write_bytes(b"\x93NUMPY\1\0\1\0{")
    tables = frame.read(builder.folder)
    with pytest.raises(DecoctError, match=r"map\.npy is damaged"):
        featuremap.show(view(summarise(tables)), tables.manifest)


def test_features_that_are_gone_leave_no_map(drawn):
    assert drawn(holes=lambda labels: labels["kind"] == "features") == ("", [])


def test_more_marks_than_can_be_told_apart_are_left_out_and_said(drawn, monkeypatch):
    monkeypatch.setattr(featuremap, "MOST", 100)
    page, figures = drawn()
    assert all(len(t["x"]) == 20 for t in figures[1]["data"][1:])
    assert "20 images each of" in page


@given(st.integers(1, 60), st.integers(1, 40))
def test_some_keeps_both_ends_and_no_more_than_asked(n, most):
    at = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    kept = Places(at, np.arange(n)).some(most)
    assert len(kept.at) == min(n, most)
    assert kept.classes[0] == 0 and (most == 1 or kept.classes[-1] == n - 1)
    assert np.array_equal(kept.at, at[kept.classes])
