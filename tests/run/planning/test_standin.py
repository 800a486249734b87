"""Stand-ins: cells that can be read as what they stand for, of the same shapes."""

import numpy as np
import pytest

from decoct.core.condensed import Condensed
from decoct.core.kinds import Dynamics
from decoct.engine.dynamics import Traces
from decoct.engine.matching.experts import Trajectory
from decoct.engine.softlabels import StoredLabels
from decoct.engine.statistics import Statistics
from decoct.run.expand import expand
from decoct.run.planning.estimates import likeness
from decoct.run.planning.probe import probe
from decoct.run.planning.standin import FEW, few, stand_in
from decoct.run.storage.store import Store
from decoct.run.study import Study
from decoct.run.work.measuring import load_backbone
from decoct.run.work.plane import Plane
from decoct.run.work.teachers import load_features, load_teacher

TABLE = {
    "name": "standing in",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 2}],
    "replicates": {"condense": 1},
    "metrics": {"names": []},
    "ceiling": False,
}


@pytest.fixture
def made(digits, tmp_path):
    """``made(KIND, **table)``: the folder of a stand-in for a study's first job of a kind, and the job."""

    def make(kind, **table):
        jobs = {job.key: job for job in expand(Study.from_dict(TABLE | {"protocols": ["erm"]} | table), digits)}
        job = next(job for job in jobs.values() if job.kind == kind)
        store = Store(tmp_path / "scratch")
        stand_in(store, job.key, jobs, "cpu")
        assert store.has(kind, job.key)
        return store.path(kind, job.key), job

    return make


def test_few_images_of_every_class(digits):
    small = few(digits)
    for split in ("train", "val", "test"):
        assert all(n >= min(FEW, count) for n, count in zip(small.counts(split), digits.counts(split), strict=True))
        part = getattr(small, split)
        assert len(part) < len(getattr(digits, split)) / 2
        assert part.images.shape[1:] == digits.shape and part.images.dtype == np.uint8


def test_features_are_rows_of_every_image_and_have_their_plane(made, digits):
    folder, _ = made("features", condensers=["herding"])
    for split in ("train", "val"):
        rows = load_features(folder, split)
        assert len(rows) == len(getattr(digits, split)) and np.isfinite(rows).all()
        assert len(np.unique(rows, axis=0)) == len(rows)  # no two images are one
    plane = Plane.load(folder)
    assert plane is not None and plane.axes.shape == (2, rows.shape[1])


def test_features_that_somebody_brings_are_those(made, rows, digits):
    folder, _ = made("features", condensers=[{"name": "herding", "extractor": str(rows)}])
    assert np.array_equal(load_features(folder, "train"), np.load(rows).astype(np.float32))


def test_a_frozen_net_is_there_to_look_at_sets_with(made, weighed, digits):
    folder, _ = made("features", condensers=[{"name": "herding", "extractor": f"timm:test_resnet@{weighed}"}])
    assert len(load_features(folder, "train")) == len(digits.train)
    assert load_backbone(folder, "cpu") is not None


def test_a_teacher_loads(made, digits):
    folder, _ = made("teacher", condensers=["herding"])
    assert load_teacher(folder, digits, "cpu") is not None


def test_statistics_load(made):
    folder, _ = made("statistics", condensers=["g_vbsm"])
    assert Statistics.load(folder, "cpu") is not None


def test_traces_are_of_every_image_over_all_epochs(made, digits):
    need = Dynamics(net="convnet1_w8", epochs=3)
    folder, _ = made("dynamics", condensers=[{"name": "el2n", "net": need.net, "epochs": 3, "runs": 1}])
    (trace,) = Traces.load([folder]).runs
    assert trace.margin.shape == (3, len(digits.train)) and trace.shift.shape == (2, len(digits.train))
    assert set(np.unique(trace.correct)) <= {0, 1}


def test_an_expert_has_all_its_epochs_and_one_stands_for_all(digits, tmp_path):
    study = Study.from_dict(
        TABLE | {"protocols": ["erm"], "condensers": [{"name": "mtt", "net": "convnet1_w8", "experts": 3, "epochs": 4}]}
    )
    jobs = {job.key: job for job in expand(study, digits)}
    experts, store = [job for job in jobs.values() if job.kind == "trajectory"], Store(tmp_path / "scratch")
    for job in experts:
        stand_in(store, job.key, jobs, "cpu")
        assert Trajectory.load(store.cell(job.kind, job.key)).epochs == 4
    assert len(experts) == 3
    files = {(store.path(job.kind, job.key) / "weights.npy").resolve() for job in experts}
    assert len(files) == 1


def test_features_are_such_as_their_teacher_gives(digits, tmp_path):
    """Methods that take a gradient in closed form try that."""
    jobs = {
        job.key: job for job in expand(Study.from_dict(TABLE | {"protocols": ["erm"], "condensers": ["craig"]}), digits)
    }
    job = next(job for job in jobs.values() if job.kind == "condense")
    like = likeness(job, jobs.get, digits)
    assert probe(str(tmp_path / "scratch"), None, job, like, jobs, "cpu", 60.0).took.sure == "sure"


@pytest.mark.parametrize(("method", "member"), [("herding", True), ("sre2l", False)])
def test_a_set_has_the_budgets_images_of_each_class(made, digits, method, member):
    folder, _ = made("condense", condensers=[method])
    found = Condensed.load(folder)
    assert np.bincount(found.labels).tolist() == [2] * 10 and found.member == member


def test_shards_can_be_put_together(made, digits):
    folder, _ = made("condense", condensers=[{"name": "rded", "shards": 2}])
    assert len(Condensed.load(folder)) == 20


def test_stored_labels_are_of_the_set_and_its_views(made, digits):
    folder, _ = made(
        "labels",
        condensers=["random"],
        protocols=[{"name": "single_teacher", "steps": 9, "labels": {"per": "view", "bits": 8}}],
    )
    found = StoredLabels.load(folder)
    assert len(found.ends) == 9 and found.facts["images"] == 20
