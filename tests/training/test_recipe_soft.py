"""What the soft-label protocols share: from fields to a recipe."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from decoct.core.interfaces import Task
from decoct.training.recipe import SoftLabelled, Storing

TASK = Task(100, 10, 28, flip=True)


class Plain(SoftLabelled):
    """Every default."""


def recipe(task=TASK, **fields):
    return Plain(**fields).soft(task, large_batch=100)


def test_only_the_loss_schedule_and_mixing_differ_from_hard_labels():
    base = Plain().base(TASK, large_batch=100)
    assert base.loss == "ce"
    assert recipe() == replace(base, loss="kl", temperature=20.0, schedule="half_cosine", cutmix=1.0)


def test_a_number_that_the_loss_does_not_use_is_that_of_the_recipe_without_it():
    """So that two recipes which train alike are equal."""
    kl = [recipe(loss="kl", ce_weight=weight) for weight in (0.025, 0.5)]
    assert kl[0] == kl[1] and kl[0].ce_weight == 0
    mse = [recipe(loss="mse_ce", temperature=t) for t in (4.0, 20.0)]
    assert mse[0] == mse[1] and (mse[0].temperature, mse[0].ce_weight) == (1.0, 0.025)
    soft = [recipe(smoothing=s) for s in (0.1, 0.8)]
    assert soft[0] == soft[1] and soft[0].smoothing == 0
    assert recipe(hard=0.5, smoothing=0.1).smoothing == 0.1


@pytest.mark.parametrize(
    ("size", "fields", "expected"),
    [
        (8, {}, (0.0, 0.0)),
        (27, {}, (0.0, 0.0)),
        (28, {}, (1.0, 0.0)),
        (224, {}, (1.0, 0.0)),
        (8, {"cutmix": 0.5}, (0.5, 0.0)),
        (224, {"cutmix": 0.0}, (0.0, 0.0)),
        (8, {"mixup": 0.8}, (0.0, 0.8)),
        (224, {"mixup": 0.8}, (0.0, 0.8)),
        (224, {"mixup": 0.8, "cutmix": 0.0}, (0.0, 0.8)),
    ],
)
def test_cutmix_from_28_px_up_unless_there_is_mixup(size, fields, expected):
    made = recipe(replace(TASK, size=size), **fields)
    assert (made.cutmix, made.mixup) == expected


def test_two_ways_to_mix_are_refused():
    with pytest.raises(ValidationError, match="set one of them to 0"):
        Plain(mixup=0.8, cutmix=1.0)


@given(st.integers(1, 300), st.integers(1, 8), st.none() | st.integers(1, 8))
def test_tiles_are_those_of_the_set_or_of_the_field_and_no_smaller_than_a_pixel(size, mosaic, shuffle):
    made = recipe(Task(100, 10, size, False, mosaic=mosaic), shuffle=shuffle)
    assert made.shuffle == min(size, shuffle or mosaic)
    if size < 64:
        assert made.scale is None  # crops of a border, as without tiles
    elif made.shuffle > 1:
        assert made.scale == (1 / made.shuffle, 1.0)
    else:
        assert made.scale == ((0.25, 1.0) if size == 64 else (0.08, 1.0))


@given(st.integers(1, 500), st.floats(0, 1, exclude_max=True))
def test_hard_steps_stand_in_the_middle(steps, hard):
    made = recipe(steps=steps, hard=hard)
    first, last = made.hard_steps
    soft = [made.soft_at(step) for step in range(steps)]
    assert soft == [not first <= step < last for step in range(steps)]
    assert soft.count(False) == pytest.approx(hard * steps, abs=1.5)
    if hard:
        assert first == steps - last or first >= steps / 2  # as many before as after


def test_how_labels_are_stored_changes_no_step_of_the_recipe():
    assert recipe(labels={"bits": 8, "prune": 20}) == recipe()
    assert Plain(labels={"bits": 8}).labels == Storing(bits=8)
    assert Plain().labels is None


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": {"bit": 8}},
        {"labels": "stored"},
        {"loss": "ce"},
        {"temperature": 0},
        {"ema": 1.0},
        {"hard": 1.0},
        {"smoothing": 1.0},
        {"schedule": "multistep"},
    ],
)
def test_fields_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(ValidationError):
        Plain(**fields)
