"""The numbers that all protocols share, against the small-image table."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.kinds import Task
from decoct.engine.recipe import FromScratch, augmentation, epoch_steps


def batches(images, batch):
    """Sizes of the batches of one epoch, the slow way."""
    rows, sizes = list(range(images)), []
    while rows:
        sizes.append(len(rows[:batch]))
        rows = rows[batch:]
    return sizes if len(sizes) == 1 or sizes[-1] > 1 else sizes[:-1]


@given(st.integers(1, 300), st.integers(2, 64))
def test_an_epoch_counts_every_batch_but_a_last_one_of_one_image(images, batch):
    assert epoch_steps(images, batch) == len(batches(images, batch))


@given(st.integers(1, 300), st.integers(2, 64))
def test_nets_without_batch_norm_train_on_a_last_batch_of_one_too(images, batch):
    assert epoch_steps(images, batch, drop_single=False) == -(-images // batch)
    recipe = FromScratch(epochs=3).base(Task(images + 1, 2, 28, False, batch_norm=False), 64)
    assert recipe.steps == 3 * -(-(images + 1) // recipe.batch) and not recipe.drop_single


@pytest.mark.parametrize(
    ("images", "batch"),
    [(2, 2), (10, 10), (16, 16), (100, 16), (128, 16), (200, 25), (1000, 125), (1024, 128), (60000, 128)],
)
def test_the_batch_is_an_eighth_of_the_set_between_16_and_128_and_at_most_the_set(images, batch):
    assert FromScratch().base(Task(images, 10, 28, False), 64).batch == batch


@settings(max_examples=40)
@given(images=st.integers(2, 3000), size=st.sampled_from([8, 28, 32, 64]), epochs=st.integers(1, 50))
def test_epochs_become_steps_of_the_batch_rule(images, size, epochs):
    recipe = FromScratch(epochs=epochs).base(Task(images, 10, size, False), 100)
    assert recipe.batch == min(images, max(16, min(128, images // 8)))
    assert recipe.steps == epochs * len(batches(images, recipe.batch))


def test_steps_replace_epochs_for_every_set_and_for_the_ceiling():
    spec = FromScratch(steps=500)
    for images in (10, 100, 1500):
        for ceiling in (False, True):
            assert spec.base(Task(images, 10, 8, False, ceiling), 100).steps == 500


def test_the_ceiling_has_epochs_of_its_own():
    task = Task(1000, 10, 28, False, ceiling=True)
    assert FromScratch().base(task, 100).steps == 20 * math.ceil(1000 / 125)
    assert FromScratch(full_epochs=3).base(task, 100).steps == 3 * 8


def test_above_64_px_the_batch_is_the_paper_s_unless_the_field_says_otherwise():
    assert FromScratch().base(Task(1000, 10, 224, True), 100).batch == 100
    assert FromScratch().base(Task(30, 10, 224, True), 100).batch == 30
    for size in (28, 224):
        assert FromScratch(batch=50).base(Task(1000, 10, size, True), 100).batch == 50
        assert FromScratch(batch=50).base(Task(20, 10, size, True), 100).batch == 20


def test_one_image_is_no_training_set():
    with pytest.raises(UsageError, match="two training images"):
        FromScratch().base(Task(1, 1, 28, False), 100)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (8, {"pad": 1}),
        (12, {"pad": 4}),
        (28, {"pad": 4}),
        (32, {"pad": 4}),
        (64, {"scale": (0.25, 1.0)}),
        (128, {"scale": (0.08, 1.0)}),
        (224, {"scale": (0.08, 1.0)}),
    ],
)
def test_augmentation_by_resolution(size, expected):
    assert augmentation(size) == expected
