"""The numbers that all protocols share, against the small-image table, and what a recipe says of its steps."""

import math
from dataclasses import fields, replace
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.interfaces import Task
from decoct.training.recipe import FromScratch, Recipe, augmentation, epoch_steps


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


# Soft and hard steps

SOFT = Recipe(100, 8, "adamw", 1e-3, 0.01, "half_cosine", loss="kl", temperature=20.0)


@given(st.sampled_from(["kl", "mse_ce"]), st.integers(1, 400))
def test_without_a_hard_share_every_step_of_a_soft_recipe_is_soft_and_none_of_a_hard_one(loss, steps):
    soft, hard = replace(SOFT, steps=steps, loss=loss), replace(SOFT, steps=steps, loss="ce")
    assert all(soft.soft_at(step) for step in range(steps))
    assert not any(hard.soft_at(step) for step in range(steps))


@given(st.integers(1, 400), st.floats(0.01, 1.0))
def test_hard_steps_are_one_run_in_the_middle_of_the_share_that_is_asked(steps, share):
    recipe = replace(SOFT, steps=steps, hard=share)
    runs = [(soft, len(list(run))) for soft, run in groupby(range(steps), recipe.soft_at)]
    lengths = {soft: [n for kind, n in runs if kind == soft] for soft in (True, False)}
    assert abs(sum(lengths[False]) - share * steps) <= 1 + 1e-9  # 0.010000000000000002 of 100 steps
    if lengths[True] and lengths[False]:
        assert [soft for soft, _ in runs] == [True, False, True]
        assert lengths[True][0] == lengths[True][1]
        assert recipe.hard_steps == (lengths[True][0], lengths[True][0] + lengths[False][0])


def test_hald_learns_soft_for_a_quarter_hard_for_a_half_and_soft_again():
    recipe = replace(SOFT, hard=0.5)
    assert recipe.hard_steps == (25, 75)
    assert [step for step in range(100) if not recipe.soft_at(step)] == list(range(25, 75))


def test_all_hard_is_possible():
    assert not any(replace(SOFT, hard=1.0, steps=7).soft_at(step) for step in range(7))


# The same recipe otherwise


@given(st.lists(st.integers(0, 120), max_size=4), st.integers(1, 500))
def test_a_recipe_that_lasts_longer_moves_its_milestones_along(milestones, steps):
    recipe = Recipe(120, 8, "sgd", 0.1, 0.0, "multistep", milestones=tuple(sorted(milestones)), restart=True)
    longer = recipe.lasting(steps)
    assert longer.steps == steps
    assert replace(longer, steps=120, milestones=recipe.milestones) == recipe
    for before, after in zip(recipe.milestones, longer.milestones, strict=True):
        assert after / steps <= before / 120 < (after + 1) / steps
    assert recipe.lasting(120) == recipe


AUGMENTED = {
    "pad": 2,
    "scale": (0.1, 1.0),
    "flip": True,
    "shuffle": 2,
    "jitter": 0.4,
    "lighting": 0.1,
    "dsa": True,
    "cutmix": 1.0,
    "mixup": 0.8,
}


def test_a_plain_recipe_is_the_same_without_augmentation():
    others = {"hard": 0.5, "smoothing": 0.8, "halves": True, "ema": 0.99, "restart": True, "milestones": (3,)}
    assert {*AUGMENTED, *others} <= {f.name for f in fields(Recipe)}
    assert replace(SOFT, **others, **AUGMENTED).plain() == replace(SOFT, **others)
    assert SOFT.plain() == SOFT


@pytest.mark.parametrize("size", [8, 32, 64, 224])
def test_a_protocol_augments_unless_it_is_told_not_to(size):
    task = Task(100, 10, size, flip=True)
    usual, bare = (spec.finished(spec.base(task, 64)) for spec in (FromScratch(), FromScratch(augment=False)))
    assert usual == FromScratch().base(task, 64)
    assert usual.flip and (usual.pad or usual.scale)
    assert bare == replace(usual, flip=False, pad=0, scale=None) == usual.plain()
