"""RDED's crops: what RDED itself makes at factor 1, with any number of images a class."""

from dataclasses import replace

import numpy as np
import pytest

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.methods.coresets.rded_crops import RDEDCrops
from decoct.methods.decoupled.rded import RDED
from decoct.needs.teacher import Teacher


@pytest.mark.parametrize(("size", "channels", "batch"), [(8, 1, 20), (9, 3, 4), (65, 1, 200)])
def test_it_is_rded_at_factor_one(size, channels, batch, toy):
    fields = {"candidates": 30, "crops": 3, "batch": batch, "scale": (0.2, 0.9)}
    inputs = toy(size, channels).inputs(6, seed=4)
    ours, theirs = RDEDCrops(**fields)(inputs), RDED(factor=1, **fields)(inputs)
    assert ours.images.dtype == np.uint8 and (ours.images == theirs.images).all()
    assert (ours.labels == theirs.labels).all() and ours.mosaic == theirs.mosaic == 1 and ours.notes == theirs.notes


def test_classes_give_what_the_budget_asks_and_a_smaller_set_is_the_beginning(toy):
    box, method = toy(), RDEDCrops(crops=2)
    few, many = (method(replace(box.inputs(1), budget=Budget(images=n))) for n in (2, 20))
    assert few.labels.tolist() == [0, 1] and np.bincount(many.labels).tolist() == [7, 7, 6]
    assert (few.images == many.images[[0, 7]]).all()
    assert len(method(box.inputs(40)).images) == 120
    with pytest.raises(DecoctError, match="class 'a' has 40"):
        method(box.inputs(41))


def test_same_seed_same_crops_and_another_seed_others(toy):
    box, method = toy(), RDEDCrops(candidates=20)
    first, again, other = (method(box.inputs(5, seed)).images for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_it_is_a_coreset_of_classes_by_themselves_that_needs_its_teacher():
    assert RDEDCrops.family == "coreset" and RDEDCrops().together(10) == 1
    assert RDEDCrops(teacher="resnet18").needs() == (Teacher(net="resnet18"),)
