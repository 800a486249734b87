"""The plane of the map, against scikit-learn, and what jobs leave of it in their cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from decoct.core.budget import Budget
from decoct.core.record import read_json
from decoct.core.spec import parse
from decoct.needs._plane import Plane, drawn, keep_plane


@pytest.mark.parametrize(("n", "d"), [(60, 8), (8, 60), (20, 20)])
def test_the_plane_is_that_of_principal_components(n, d):
    rng = np.random.default_rng(n)
    x = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5).astype(np.float32)
    plane, other = Plane.fit(x), PCA(2, svd_solver="full").fit(x.astype(np.float64))
    assert plane.explained == pytest.approx(other.explained_variance_ratio_)
    signs = np.sign((plane.axes * other.components_).sum(1))
    assert plane.axes == pytest.approx(signs[:, None] * other.components_, abs=1e-9)
    assert plane.project(x) == pytest.approx(signs * other.transform(x.astype(np.float64)), abs=1e-4)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in plane.axes)


@pytest.mark.parametrize("x", [np.ones((5, 3)), np.ones((1, 4))])
def test_images_that_are_all_alike_lie_in_one_place(x):
    plane = Plane.fit(x)
    assert plane.explained == (0.0, 0.0) and not plane.project(x).any()


def test_one_feature_gives_one_axis():
    plane = Plane.fit(np.array([[0.0], [2.0], [4.0]]))
    assert plane.explained == (1.0, 0.0) and plane.project(np.array([[3.0]])).tolist() == [[1.0, 0.0]]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(1, 30))
def test_images_are_drawn_class_by_class(labels, most):
    labels = np.array(labels)
    picks = drawn(labels, most)
    assert len(picks) == min(most, len(labels)) and (np.diff(picks) > 0).all()
    there, got = np.bincount(labels, minlength=5), np.bincount(labels[picks], minlength=5)
    fullest = got.max()
    assert all(g == t or g >= fullest - 1 for g, t in zip(got, there, strict=True))  # an equal share, or all there are


def test_a_plane_reads_back_and_is_the_same_again(tmp_path):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        keep_plane(folder, features, labels)
    for file in folders[0].iterdir():
        assert file.read_bytes() == (folders[1] / file.name).read_bytes()
    plane, fitted = Plane.load(folders[0]), Plane.fit(features)
    assert np.array_equal(plane.axes, fitted.axes) and plane.explained == fitted.explained
    assert np.array_equal(np.load(folders[0] / "map.npy"), fitted.project(features))


def test_a_measured_set_has_its_place_on_the_plane_of_its_first_extractor(box, digits):
    def make(planner):
        made = planner.condense("herding", parse("condenser", "herding"), Budget(ipc=2), 0)
        return planner.measure(made, {"vendi": parse("metric", "vendi")}, ["teacher", "held_out"], 0)

    job, folder = box(make)
    store, (first, key) = folder.parents[2], next(iter(job.role("features").items()))
    features = store / "features" / key[:2] / key
    assert read_json(folder / "map.json") == {"extractor": first}
    picks = np.load(features / "train.npy")[_indices(store, job)]
    assert np.load(folder / "map.npy") == pytest.approx(Plane.load(features).project(picks), abs=1e-3)
    assert len(np.load(features / "map.npy")) == min(2000, len(digits.train.labels))


def _indices(store, job):
    from decoct.core.condensed import Condensed
    from decoct.core.record import cell_dir

    return Condensed.load(cell_dir(store, "condense", job.inputs["condensed"])).indices
