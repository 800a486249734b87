"""All of decoct on a device that is not the host: each job leaves the CPU's bytes, and waits in no step."""

import os
from collections import Counter

import pytest

from decoct.core.spec import find, names
from devices.elsewhere import elsewhere
from devices.jobs import Trial
from devices.steps import by_steps, longer, planned
from same_studies import SUPPLIED

NEEDS = ("teacher", "features", "statistics", "dynamics", "out_of_sample", "trajectory", "generator")
METHODS = sorted(names("condenser").keys() - set(SUPPLIED))
PROTOCOLS = sorted(names("protocol"))
STORED = [name for name in PROTOCOLS if "labels" in find("protocol", name).model_fields]
ROUNDED = {"measure": 1e-12, "reference": 1e-12}  # under a mode torch finds singular values with their vectors
LOSSES = {"facts.json": 1e-6}  # of sets: a GPU's way sums a layer's statistics in another order
MAY = {  # what may wait more often the more steps there are, and not more often than that
    "needs/dynamics.py:look": "an epoch is recorded: 11 copies a block of images",
    "needs/dynamics.py:forward": "its images go over",
    "needs/trajectory.py:look": "an epoch is recorded: all weights",
    "training/relabel.py:_said": "the labels of a chunk are done",
    "methods/decoupled/g_vbsm.py:densify": "torch looks whether eigenvalues were found",
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The jobs; workers of xdist share what the CPU makes."""
    own = tmp_path_factory.mktemp("devices")
    shared = own.parent.parent / "devices" if os.environ.get("PYTEST_XDIST_WORKER") else own
    with by_steps():
        yield Trial(list(planned(own, 16).jobs.values()), shared)


def tried(trial, **labels):
    """Jobs with these labels done on the device, without and with twice as many steps, one of each kind of net."""
    jobs = [job for job in trial.jobs if labels.items() <= ({"kind": job.kind} | job.labels).items()]
    assert jobs
    for job in jobs:
        trial.expected([job])
        apart, few = trial.on(job, "meta", elsewhere())
        may = LOSSES if job.kind == "condense" else {}
        assert apart and all(x <= may.get(file, ROUNDED.get(job.kind, 0)) for file, x in apart.items()), (
            str(job),
            apart,
        )
        if other := longer(job):
            _, many = trial.make(other, "meta", elsewhere())
            for counted in ("waits", "uploads"):
                grown = getattr(many, counted) - getattr(few, counted)
                lines = Counter({line: n for line, n in grown.items() if line[0].rpartition(":")[0] not in MAY})
                assert not lines, f"{job}: {counted} that grow with the steps"


@pytest.mark.parametrize("need", NEEDS)
def test_what_methods_need(trial, need):
    tried(trial, kind=need)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_makes_its_set(trial, method):
    tried(trial, kind="condense", method=method)


@pytest.mark.parametrize("protocol", [*PROTOCOLS, *(f"{name}_stored" for name in STORED)])
def test_a_protocol_trains_its_student(trial, protocol):
    tried(trial, kind="train", protocol=protocol)


@pytest.mark.parametrize("protocol", [f"{name}_stored" for name in STORED])
def test_labels_are_stored(trial, protocol):
    tried(trial, kind="labels", protocol=protocol)


@pytest.mark.parametrize("kind", ["measure", "reference"])
def test_a_set_is_measured(trial, kind):
    tried(trial, kind=kind)
