"""The work on students: labels that are stored once, and trainings that learn from them, or from teachers."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine, Task
from decoct.core.record import Provenance, read_json
from decoct.methods.coresets.random import Random
from decoct.needs.teacher import Teach, training_set
from decoct.nets import zoo
from decoct.protocols.dc import DC
from decoct.protocols.erm import ERM
from decoct.protocols.erm_long import ERMLong
from decoct.protocols.multi_teacher import MultiTeacher
from decoct.protocols.single_teacher import SingleTeacher
from decoct.study.execute import execute
from decoct.study.external_sets import put_external
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.work.students import train_module
from decoct.training.evaluate import correct
from decoct.training.loop import train
from decoct.training.softlabels import StoredLabels, fingerprint

NET = "convnet1_w8"
STORED = {"bits": 8, "prune": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    store.root.mkdir(exist_ok=True)
    return store


@pytest.fixture
def planner(digits):
    return Planner(digits, teachings={NET: Teach(net=NET, epochs=1)})


@pytest.fixture
def trained(planner, store):
    """Train under a protocol, and give the job and its result: trained(protocol, ipc, …)."""

    def make(protocol, ipc=2, replicate=0, again=0, net=NET, budget=None, **more):
        budget = budget or (Budget(ipc=ipc) if ipc else None)
        made = planner.condense("random", Random(), budget, replicate) if budget else None
        job = planner.train((protocol.name, protocol), net, made, replicate, again, **more)
        for one in planner.jobs.values():
            execute(store.root, one)
        return job, read_json(store.path("train", job.key) / "result.json")

    return make


def soft(**fields):
    return SingleTeacher(**{"teacher": NET, "steps": 9, "labels": STORED, **fields})


# What a student trains on


def test_a_student_gets_the_sets_weights(digits):
    images, labels = np.asarray(digits.train.images[:4]), digits.train.labels[:4]
    made = Condensed(
        labels,
        digits.class_names,
        Provenance(method="m"),
        images=images,
        weights=np.arange(4, dtype=np.float32),
    )
    given = training_set(digits, made)
    assert given.weights.tolist() == [0, 1, 2, 3]
    assert training_set(digits, replace(made, weights=None)).weights is None
    whole = training_set(digits)
    assert (len(whole.images), whole.weights) == (len(digits.train), None)
    assert torch.equal(whole.images, torch.from_numpy(np.array(digits.train.images)))
    assert torch.equal(whole.labels, torch.from_numpy(digits.train.labels))


def test_a_protocol_is_told_what_is_trained_on(digits):
    images, labels = np.asarray(digits.train.images[:4]), digits.train.labels[:4]
    made = Condensed(labels, digits.class_names, Provenance(method="m"), images=images, mosaic=2)
    assert Task.of(digits, made, True) == Task(4, 10, 8, False, ceiling=False, batch_norm=True, mosaic=2)
    assert Task.of(digits, None, False) == Task(len(digits.train), 10, 8, False, ceiling=True, batch_norm=False)
    assert Task.of(digits, None, True, images=20) == Task(20, 10, 8, False, ceiling=False, batch_norm=True)


# Weights

HARD = [ERM(steps=6, batch=4), DC(steps=6), ERMLong(steps=6, batch=4)]
SOFT = [
    SingleTeacher(teacher=NET, steps=6, batch=4, labels=None),
    SingleTeacher(teacher=NET, steps=6, batch=4, cutmix=1.0, hard=0.5, labels=STORED),
    MultiTeacher(teachers=(NET,), steps=6, batch=4, labels=None),
    MultiTeacher(teachers=(NET,), steps=6, batch=4, cutmix=1.0, labels={"per": "image"}),
]
EVERY = pytest.mark.parametrize("protocol", [*HARD, *SOFT], ids=lambda p: f"{p.name}-{getattr(p, 'labels', None)}")


@pytest.fixture
def weighed(planner, store, digits):
    """Train on eight images with these weights, and give the last loss and which test images were right."""

    def make(protocol, weights, labels=None):
        rows = np.array([np.flatnonzero(digits.train.labels == c)[0] for c in range(8)])
        images = np.asarray(digits.train.images[rows])
        given = None if weights is None else np.asarray(weights, np.float32)
        labels = np.arange(8) if labels is None else labels
        made = Condensed(labels, digits.class_names, Provenance(method="m"), images=images, weights=given)
        job = planner.train((protocol.name, protocol), NET, put_external(made, digits, store))
        for one in planner.jobs.values():
            execute(store.root, one)
        folder = store.path("train", job.key)
        return read_json(folder / "result.json")["loss"], np.load(folder / "correct.npy").tolist()

    return make


@EVERY
def test_equal_weights_train_the_student_of_none_and_others_another(weighed, protocol):
    plain = weighed(protocol, None)
    assert weighed(protocol, [0.3] * 8) == plain
    assert weighed(protocol, [7, 1, 1, 1, 1, 1, 1, 1])[0] != pytest.approx(plain[0], rel=1e-4)


@EVERY
def test_the_size_of_all_weights_says_nothing(weighed, protocol):
    one, other = (weighed(protocol, [k * w for w in (1, 2, 4, 1, 2, 4, 1, 2)]) for k in (1, 2.0**-60))
    assert one == other


@pytest.mark.parametrize("protocol", HARD, ids=lambda p: p.name)
def test_the_label_of_an_image_that_counts_nothing_is_not_learnt(weighed, protocol):
    """Not even under CutMix, where a part of it is seen."""
    weights, labels = np.array([1, 0, 1, 1, 0, 1, 1, 1]), np.arange(8)
    wrong = np.where(weights == 0, 9, labels)
    assert weighed(protocol, weights) == weighed(protocol, weights, wrong)
    assert weighed(protocol, np.ones(8)) != weighed(protocol, np.ones(8), wrong)


# Stored labels


def test_labels_are_stored_once_a_set_and_counted(trained, store, digits):
    job, result = trained(soft())
    again, other = trained(soft(), again=1)[0], trained(soft(), replicate=1)[0]
    assert job.inputs["labels"] == again.inputs["labels"] != other.inputs["labels"]
    folder = store.path("labels", job.inputs["labels"])
    assert {path.name for path in folder.iterdir()} == {
        *("cell.json", "measured.json"),
        *("labels.json", "labels.safetensors"),
    }
    labels = StoredLabels.load(folder)
    condensed = Condensed.load(store.path("condense", job.inputs["condensed"]))
    data = training_set(digits, condensed.materialise(digits.train.images))
    assert labels.facts["set"] == fingerprint(data)
    assert labels.facts["storing"] == {"per": "view", "bits": 8, "top_k": None, "prune": 4.0, "by": "batch"}
    assert labels.facts["class_names"] == list(digits.class_names)
    assert len(labels.ends) == 3  # of 9 steps
    assert result["label_bytes"] == 20 + labels.nbytes
    assert result["steps"] == 9


def test_a_student_is_that_of_a_training_on_what_is_stored(trained, store, digits):
    job, result = trained(soft())
    labels = StoredLabels.load(store.path("labels", job.inputs["labels"]))
    condensed = Condensed.load(store.path("condense", job.inputs["condensed"])).materialise(digits.train.images)
    net = zoo.build(NET, 1, 10, 8, job.keyed["seed"])
    recipe = soft().recipe(Task(20, 10, 8, False))
    done = train(net, training_set(digits, condensed), recipe, seed=job.keyed["seed"], labels=labels)
    assert result["loss"] == pytest.approx(done.loss, rel=1e-5)
    assert result["accuracy"] == pytest.approx(correct(net, digits.test, digits, "cpu").mean())


def test_students_of_stored_labels_do_without_the_teacher(trained, store, planner):
    job, _ = trained(soft(), ipc=1)
    (teacher,) = [one for one in planner.jobs.values() if one.kind == "teacher"]
    assert set(job.inputs) == {"condensed", "labels"}
    folder = store.path("teacher", teacher.key)
    shutil.move(folder, store.root / "elsewhere")
    try:
        del planner.jobs[teacher.key]
        assert 0 <= trained(soft(), ipc=1, again=1)[1]["accuracy"] <= 1
    finally:
        shutil.move(store.root / "elsewhere", folder)


def test_labels_of_a_committee_of_images_with_few_classes(trained, store):
    kind = {"per": "image", "bits": 16, "top_k": 3}
    job, result = trained(MultiTeacher(teachers=(NET,), steps=5, labels=kind))
    labels = StoredLabels.load(store.path("labels", job.inputs["labels"]))
    assert labels.nbytes == 20 * ((3 + 1) * 2 + 3)
    assert result["label_bytes"] == 20 + labels.nbytes


def test_a_student_without_batch_norm_learns_from_labels_made_for_any(trained):
    """20 images in batches of 19 leave one over, which only such a student sees; stored views have none of one."""
    _, result = trained(soft(batch=19, epochs=3, steps=None))
    assert (result["steps"], result["images_seen"]) == (6, 6 * 19)
    online, alone = trained(soft(batch=19, epochs=3, steps=None, labels=None))
    assert (alone["steps"], alone["images_seen"]) == (6, 60)
    assert set(online.inputs) == {"condensed", f"teacher:{NET}"}


@pytest.mark.parametrize(
    ("fields", "said"), [({"batch": 7}, "batch 16"), ({"cutmix": 1.0}, "cutmix 0.0"), ({"augment": False}, "pad 1")]
)
def test_labels_that_do_not_fit_the_protocol_leave_nothing(trained, planner, store, fields, said):
    job, _ = trained(soft())
    made = planner.condense("random", Random(), Budget(ipc=2), 0)
    other = planner.train(("other", soft(**fields)), NET, made, labels=job.inputs["labels"])
    with pytest.raises(DecoctError, match=said):
        execute(store.root, other)
    assert not store.has("train", other.key)


def test_labels_of_another_set_leave_nothing(trained, planner, store):
    job, _ = trained(soft())
    made = planner.condense("random", Random(), Budget(ipc=1), 0)
    other = planner.train(("soft", soft()), NET, made, labels=job.inputs["labels"])
    for one in planner.jobs.values():
        if one is not other:
            execute(store.root, one)
    with pytest.raises(DecoctError, match="another set"):
        execute(store.root, other)


def test_labels_whose_recipe_has_no_soft_step_are_no_cell(planner, store):
    made = planner.condense("random", Random(), Budget(ipc=1), 0)
    job = planner.relabel(("soft", soft(steps=1, hard=0.9)), made)
    with pytest.raises(UsageError, match="no step"):
        for one in planner.jobs.values():
            execute(store.root, one)
    assert not store.has("labels", job.key)


# The whole train split for as many steps


@pytest.mark.parametrize(
    "protocol", [ERM(epochs=3), DC(epochs=4), ERMLong(epochs=2), SingleTeacher(teacher=NET, epochs=3)]
)
@pytest.mark.parametrize("ipc", [1, 3])
def test_the_whole_train_split_trains_for_the_steps_of_a_set(trained, digits, protocol, ipc):
    _, small = trained(protocol, ipc)
    job, full = trained(protocol, ipc=None, as_long_as=Budget(ipc=ipc))
    assert full["steps"] == small["steps"] == protocol.recipe(Task(10 * ipc, 10, 8, False)).steps
    assert full["images_seen"] > small["images_seen"]
    assert full["label_bytes"] == len(digits.train)
    assert (job.labels["method"], job.labels["budget"]) == ("full", f"ipc={ipc}")


@pytest.mark.parametrize("budget", [Budget(fraction=0.02), Budget(images=7), Budget(images=25, balanced=False)])
def test_so_it_does_where_classes_give_different_numbers_or_none(trained, digits, budget):
    protocol, images = ERM(epochs=3), budget.total(len(digits.train), 10)
    _, small = trained(protocol, budget=budget)
    _, full = trained(protocol, ipc=None, as_long_as=budget)
    assert full["steps"] == small["steps"] == protocol.recipe(Task(images, 10, 8, False)).steps
    assert small["label_bytes"] == images


def test_it_sees_batches_of_its_own_size(trained, digits):
    _, full = trained(ERM(epochs=2), ipc=None, as_long_as=Budget(ipc=1))
    assert (full["steps"], full["images_seen"]) == (2, 2 * min(128, len(digits.train) // 8))


# The caller's own modules


class Heard(nn.Module):
    """A linear net on pixels: what it gets wrong on the test split depends on every weight."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1))


@pytest.mark.parametrize("protocol", [ERM(steps=30, batch=5, augment=False), ERMLong(steps=30, batch=5)])
def test_a_module_of_the_callers_own_counts_each_image_by_its_weight(digits, protocol):
    rows = np.array([np.flatnonzero(digits.train.labels == c)[0] for c in range(10)])
    images, labels = np.asarray(digits.train.images[rows]), np.arange(10)

    def trained(weights, labels=labels):
        given = None if weights is None else np.asarray(weights, np.float32)
        made = Condensed(labels, digits.class_names, Provenance(method="m"), images=images, weights=given)
        return train_module(made, digits, protocol, Heard, [0, 1], teachers=[], machine=Machine())

    plain, some = trained(None), [1, 1, 0, 1, 1, 0, 1, 1, 1, 1]
    assert trained([5.0] * 10) == plain
    assert trained(some) != plain
    assert trained(some, np.where(np.array(some) == 0, 0, labels)) == trained(some)
