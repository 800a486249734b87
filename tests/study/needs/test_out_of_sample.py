"""Cross-validation as jobs: a net a fold, the same for all budgets, and no image is judged by a net that saw it."""

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs, Task
from decoct.core.spec import parse
from decoct.methods.coresets.confident import Confident
from decoct.needs.out_of_sample import PROBABILITIES, ROWS, OutOfSample, in_fold, probabilities
from decoct.needs.teacher import Teach
from decoct.nets import zoo
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.training.loop import TrainingSet, train

SHORT = {"teacher": Teach(net="teacher", epochs=2, stop_at=0.5)}


def folds(planner):
    return [job for job in planner.jobs.values() if job.kind == "out_of_sample"]


def confident(planner, **fields):
    method = parse("condenser", {"name": "confident", "folds": 3, **fields})
    return planner.condense("confident", method, Budget(fraction=0.9), 0)


def test_budgets_and_rules_share_the_folds_and_each_has_a_seed_of_its_own(digits):
    planner = Planner(digits, teachings=SHORT)
    for fields in ({}, {"by": "both"}, {"pooled": False}):
        confident(planner, **fields)
    assert len(folds(planner)) == 3 == len({job.keyed["seed"] for job in folds(planner)})
    assert len({job.keyed["split"] for job in folds(planner)}) == 1
    assert folds(planner)[0].labels == {"net": "convnet2_bn", "training": "2 epochs without fold 1 of 3"}
    assert folds(planner)[0].config == Teach(net="convnet2_bn", epochs=2).config()
    confident(planner, folds=4)
    confident(planner, epochs=1)
    assert len(folds(planner)) == 10


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    store, planner = Store(tmp_path_factory.mktemp("made")), Planner(digits, teachings=SHORT)
    key = confident(planner).key
    for job in planner.jobs.values():
        execute(store.root, job)
    return store, planner, key


def test_a_cell_holds_what_a_net_that_did_not_see_the_fold_says_of_it(made, digits):
    store, planner, _ = made
    job = folds(planner)[1]
    held = in_fold(digits.train.labels, job.keyed)
    rest, seed = np.flatnonzero(~held), job.keyed["seed"]
    net = zoo.build("convnet2_bn", 1, 10, 8, seed)
    images, labels = torch.from_numpy(digits.train.images[rest]), torch.from_numpy(digits.train.labels[rest])
    recipe = Teach(net="convnet2_bn", epochs=2).recipe(Task.of(digits, images=len(rest)))
    train(net, TrainingSet(images, labels, digits.mean, digits.std), recipe, seed=seed)
    folder = store.path("out_of_sample", job.key)
    assert np.load(folder / ROWS).tolist() == np.flatnonzero(held).tolist()
    assert np.array_equal(np.load(folder / PROBABILITIES), probabilities(net, digits, np.flatnonzero(held), "cpu"))


def test_a_method_gets_all_folds_put_together(made, digits):
    store, planner, key = made
    whole = np.full((len(digits.train), 10), np.nan, np.float32)
    for job in folds(planner):
        folder = store.path("out_of_sample", job.key)
        whole[np.load(folder / ROWS)] = np.load(folder / PROBABILITIES)
    assert whole.sum(1) == pytest.approx(1, abs=1e-5)
    inputs = Inputs(digits, Budget(fraction=0.9), others={OutOfSample(folds=3): whole})
    assert np.array_equal(Condensed.load(store.path("condense", key)).indices, Confident(folds=3)(inputs).indices)


def test_too_many_folds_are_an_error(digits, tmp_path):
    planner = Planner(digits, teachings=SHORT)
    confident(planner, folds=len(digits.train) + 1)
    with pytest.raises(DecoctError, match="lower folds"):
        execute(tmp_path, folds(planner)[-1])
