"""Relabelling against the labels that a training with teachers makes while it goes."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine, Task
from decoct.protocols.single_teacher import SingleTeacher
from decoct.training.batches import Batches, Committee, TrainingSet, order
from decoct.training.images import Images
from decoct.training.loop import train
from decoct.training.packing import decode
from decoct.training.recipe import Recipe, Storing, epoch_steps
from decoct.training.relabel import even, kept, relabel
from decoct.training.views import render

NAMES = ("a", "b", "c")
RECIPE = Recipe(
    steps=70,  # more than are made at once
    batch=6,
    optimiser="sgd",
    lr=0.05,
    weight_decay=0.0,
    schedule="cosine",
    loss="kl",
    temperature=4.0,
    pad=1,
    flip=True,
    cutmix=1.0,
)
KINDS = {
    "pad": {},
    "scale": {"pad": 0, "scale": (0.3, 1.0)},
    "tiles": {"shuffle": 2},
    "mixup": {"cutmix": 0.0, "mixup": 0.8},
    "plain": {"pad": 0, "flip": False, "cutmix": 0.0},
    "halves": {"halves": True},
    "mse": {"loss": "mse_ce", "temperature": 1.0, "ce_weight": 0.025},
}


@pytest.fixture(scope="module")
def data(small_set):
    return small_set(n=20, size=8)


@pytest.fixture(scope="module")
def teachers(normal_net):
    return [normal_net(seed=seed).eval() for seed in (0, 1)]


@pytest.fixture(scope="module")
def label(data, teachers):
    """Label that set: label(top_k=2, recipe=…)."""

    def make(recipe=RECIPE, seed=3, **storing):
        return relabel(data, recipe, teachers, Storing(**storing), NAMES, seed=seed)

    return make


# The same as online


def pairs(data, recipe, teachers, stored, seed=3):
    """Each batch of two trainings: with teachers, and with labels."""
    online = Batches(data, recipe, seed=seed, teachers=teachers)
    return zip(online, Batches(data, recipe, seed=seed, labels=stored), strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_on_labels_sees_the_batches_of_one_with_teachers(data, teachers, label, kind):
    """Bit for bit in images and labels; logits are those of the teachers in half precision."""
    recipe = replace(RECIPE, **KINDS[kind])
    steps = 0
    for online, offline in pairs(data, recipe, teachers, label(recipe)):
        assert torch.equal(offline.images, online.images)
        assert torch.equal(offline.labels, online.labels)
        assert torch.equal(offline.teacher, online.teacher.half().float())
        if online.mixed is not None:
            assert torch.equal(offline.mixed[0], online.mixed[0]) and offline.mixed[1] == online.mixed[1]
        steps += 1
    assert steps == 70


def test_so_do_batches_of_one_image(small_set, teachers):
    data, recipe = small_set(n=19, size=8), replace(RECIPE, drop_single=False)
    stored = relabel(data, recipe, teachers, Storing(), NAMES, seed=3)
    sizes = Counter()
    for online, offline in pairs(data, recipe, teachers, stored):
        assert torch.equal(offline.images, online.images)
        assert torch.equal(offline.teacher, online.teacher.half().float())
        sizes[len(online.labels)] += 1
    assert sizes.keys() == {6, 1}


def test_it_ends_with_the_weights_of_a_training_with_teachers(data, teachers, label, normal_net):
    nets = [normal_net(seed=5) for _ in range(2)]
    done = [
        train(nets[0], data, RECIPE, seed=3, teachers=teachers),
        train(nets[1], data, RECIPE, seed=3, labels=label()),
    ]
    assert (done[0].steps, done[0].images_seen) == (done[1].steps, done[1].images_seen)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


def test_another_student_sees_what_is_stored_and_not_draws_of_its_own(data, label):
    stored = label()
    first, other = (list(Batches(data, RECIPE, seed=seed, labels=stored)) for seed in (3, 4))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, other, strict=True))
    longer = list(Batches(data, replace(RECIPE, steps=100), seed=4, labels=stored))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, longer[:70], strict=True))


def test_images_labels_and_views_belong_together(data, teachers, label):
    """Each stored label is what the teachers say of the image that the stored view gives."""
    stored, images = label(prune=5), Images.of(data.images, data.mean, data.std, "cpu", RECIPE.pad)
    assert len(stored.ends) == 14
    for step in range(40):
        view = stored.views(step, step + 1, 9)
        x = render(images, view, RECIPE.pad)
        z = stored.logits(step, step + 1, 9, view)
        torch.testing.assert_close(z, Committee(teachers)(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("by", ["batch", "class", "epoch"])
def test_what_is_kept_are_batches_of_the_training_in_its_order(data, label, by):
    whole, stored = label(), label(prune=5, by=by)
    steps, keep = kept(data.labels, RECIPE, Storing(prune=5, by=by), 3, seed=3)
    assert steps == 70 and keep == sorted(set(keep))
    assert len(stored.ends) == len(keep) == {"batch": 14, "class": 14, "epoch": 16}[by]
    for batch, step in enumerate(keep):
        one, other = stored.views(batch, batch + 1, 0), whole.views(step, step + 1, 0)
        assert torch.equal(one.rows, other.rows) and torch.equal(one.corners, other.corners)
        assert torch.equal(one.mirrored, other.mirrored) and one.mixes[0].box == other.mixes[0].box
        a, b = stored.logits(batch, batch + 1, 0, one), whole.logits(step, step + 1, 0, other)
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3)


# Soft and hard


@pytest.mark.parametrize("prune", [1, 2])
def test_soft_steps_go_on_in_order_after_the_hard_ones(data, label, prune):
    """HALD: a quarter soft, half hard, a quarter soft."""
    recipe = replace(RECIPE, steps=40, hard=0.5, smoothing=0.8)
    assert recipe.hard_steps == (10, 30)
    stored = label(recipe, prune=prune)
    assert len(stored.ends) == 20 // prune
    images = Images.of(data.images, data.mean, data.std, "cpu", recipe.pad)
    rows = [view.tolist() for view in islice(order(20, 6, 7), 40)]
    soft = 0
    for step, batch in enumerate(Batches(data, recipe, seed=7, labels=stored)):
        if 10 <= step < 30:
            assert batch.teacher is None
            assert batch.labels.tolist() == data.labels[rows[step]].tolist()  # a draw of the student's own
            continue
        view = stored.views(soft, soft + 1, 7)
        assert torch.equal(batch.images, render(images, view, recipe.pad))
        assert torch.equal(batch.teacher, stored.logits(soft, soft + 1, 7, view))
        assert torch.equal(batch.labels, data.labels[view.rows])
        soft += 1
    assert soft == 20


def test_a_recipe_without_a_soft_step_is_refused(label):
    with pytest.raises(UsageError, match="no step"):
        label(replace(RECIPE, steps=1, hard=0.9))


# What is kept


@pytest.mark.parametrize(("images", "batch"), [(100, 10), (100, 14)])
def test_by_class_gives_classes_an_equal_share(images, batch):
    """One batch in twenty of 400, of ten classes: how far the views that the classes have are apart."""
    labels, recipe = torch.arange(images) % 10, replace(RECIPE, steps=400, batch=batch)
    spread = {"batch": [], "class": []}
    for seed in range(8):
        rows = list(islice(order(images, batch, seed), 400))
        for by, found in spread.items():
            _, keep = kept(labels, recipe, Storing(prune=20, by=by), 10, seed)
            assert len(keep) == 20 and len(set(keep)) == 20
            counts = torch.cat([labels[rows[step]] for step in keep]).bincount(minlength=10)
            found.append(float((counts.max() - counts.min()) / counts.double().mean()))
    assert np.mean(spread["class"]) < np.mean(spread["batch"]) / 2
    assert max(spread["class"]) < min(spread["batch"])


def test_by_class_keeps_as_many_views_and_not_the_short_batches():
    """500 images make eight batches of 62 and one of 4: among 20 there are about as many as in the training."""
    labels, recipe = torch.arange(500) % 10, replace(RECIPE, steps=900, batch=62)
    short = []
    for seed in range(8):
        sizes = [len(rows) for rows in islice(order(500, 62, seed), 900)]
        _, keep = kept(labels, recipe, Storing(prune=45, by="class"), 10, seed)
        short.append(sum(sizes[step] == 4 for step in keep))
    assert 0.3 < np.mean(short) / (20 / 9) < 2


@given(st.integers(1, 40), st.integers(2, 5), st.integers(0, 999), st.data())
def test_even_takes_each_row_at_most_once_and_the_best_of_those_it_looks_at(rows, classes, seed, data):
    counts = torch.randint(1, 6, (rows, classes), generator=torch.Generator().manual_seed(seed)).short()
    wanted = data.draw(st.integers(1, rows))
    names = list(range(100, 100 + rows))
    chosen = even(counts, wanted, names)
    assert len(chosen) == len(set(chosen)) == wanted and set(chosen) <= set(names)
    if rows <= 16:  # all are looked at, and the best is taken each time
        total, left = np.zeros(classes), list(range(rows))

        def uneven(row):
            share = (total + counts[row].numpy()) / (total + counts[row].numpy()).sum()
            return (share**2).sum()

        for name in chosen:
            assert uneven(name - 100) == pytest.approx(min(map(uneven, left)), rel=1e-12)
            total, left = total + counts[name - 100].numpy(), [row for row in left if row != name - 100]


@settings(deadline=None)
@given(
    st.integers(2, 60),
    st.integers(2, 20),
    st.integers(1, 80),
    st.floats(1, 100),
    st.sampled_from(["batch", "class", "epoch"]),
)
def test_how_many_batches_are_kept(images, batch, steps, prune, by):
    recipe = replace(RECIPE, steps=steps, batch=min(batch, images))
    labels = torch.arange(images) % 3
    soft, keep = kept(labels, recipe, Storing(prune=prune, by=by), 3, 0)
    assert soft == steps and keep == sorted(set(keep)) and 0 <= keep[0] <= keep[-1] < steps
    if by == "epoch":
        epoch = epoch_steps(images, recipe.batch)
        assert keep == list(range(len(keep)))
        assert len(keep) == steps or len(keep) == epoch * max(1, round(steps / epoch / prune))
    else:
        assert (len(keep) - 1) * prune < steps <= len(keep) * prune + 1e-6
    assert kept(labels, recipe, Storing(prune=prune, by=by), 3, 0)[1] == keep


def test_another_seed_keeps_other_batches(data):
    found = [kept(data.labels, RECIPE, Storing(prune=5), 3, seed)[1] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


# One label an image


def test_labels_of_images_are_those_of_the_images_as_they_are(data, teachers, label):
    stored = label(per="image")
    x = (data.images.float() / 255 - 0.4) / 0.3
    expected = Committee(teachers)(x)
    torch.testing.assert_close(torch.from_numpy(decode(stored.arrays, 3)), expected, rtol=1e-3, atol=1e-3)
    assert set(stored.arrays) == {"values"} and stored.nbytes == 20 * 3 * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_on_labels_of_images_draws_its_own_views(data, teachers, label, kind):
    recipe = replace(RECIPE, **KINDS[kind])
    stored = label(per="image")
    p = torch.softmax(torch.from_numpy(decode(stored.arrays, 3)).double() / 4, 1)
    rows = order(20, 6, 8)
    for (online, offline), mine in zip(pairs(data, recipe, teachers, stored, seed=8), rows, strict=False):
        assert torch.equal(offline.images, online.images)
        found = torch.softmax(offline.teacher.double() / 4, 1)
        share = 1.0 if offline.mixed is None else offline.mixed[1]
        if share == 1:
            torch.testing.assert_close(found, p[mine], rtol=0, atol=1e-6)
        rest = (found - share * p[mine]) / (1 - share + 1e-9)  # of the partners, whose labels the batch names
        if share < 0.9:
            assert all((rest[i] - p).abs().sum(1).min() < 1e-4 for i in range(len(mine)))
            torch.testing.assert_close(rest.sum(1), torch.ones(len(mine)).double(), rtol=0, atol=1e-4)


# Bytes


def test_eight_bits_of_one_view_in_twenty_are_a_twentieth_of_all_logits_in_half_precision():
    """500 images of ten classes for 300 epochs: 500 · 300 · 10 · 2 bytes, and no byte for their views."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (500, 1, 28, 28), generator=generator, dtype=torch.uint8)
    data = TrainingSet(images, torch.arange(500) % 10, (0.4,), (0.3,))
    recipe = SingleTeacher().recipe(Task(500, 10, 28, False))
    assert (recipe.batch, recipe.steps, recipe.pad, recipe.cutmix) == (62, 9 * 300, 4, 1.0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    names = [str(c) for c in range(10)]
    for by in ("batch", "class", "epoch"):
        made = relabel(data, recipe, [net], Storing(bits=8, prune=20, by=by), names, seed=0)
        views = len(made.arrays["rows"])
        assert views == pytest.approx(500 * 300 / 20, rel=0.03)
        assert made.nbytes == sum(array.nbytes for array in made.arrays.values())
        assert made.nbytes == views * (10 + 4 + 2 + 2 + 1) + len(made.ends) * (1 + 4)
        assert made.nbytes <= 500 * 300 * 10 * 2 / 20


def test_two_bytes_a_class_where_nothing_is_dropped(label):
    stored = label()
    views = sum(len(rows) for rows in islice(order(20, 6, 3), 70))
    assert stored.arrays["values"].nbytes == views * 3 * 2
    assert label(bits=8, top_k=1).arrays["codes"].nbytes == views * 2


# What is refused, told and said


def test_hard_labels_need_no_relabelling(data, teachers):
    for recipe, nets in ((replace(RECIPE, loss="ce"), teachers), (RECIPE, [])):
        with pytest.raises(UsageError, match="single_teacher"):
            relabel(data, recipe, nets, Storing(), NAMES, seed=0)


@pytest.mark.parametrize("colour", [{"jitter": 0.4}, {"lighting": 0.1}, {"dsa": True}])
def test_views_with_colours_are_not_stored(label, colour):
    with pytest.raises(UsageError, match="cannot be stored: label online"):
        label(replace(RECIPE, **colour))


@pytest.mark.parametrize("per", ["view", "image"])
def test_a_teacher_that_gives_no_numbers_is_an_error(data, per):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 3), torch.nan)

    with pytest.raises(DecoctError, match="not finite"):
        relabel(data, RECIPE, [Broken().eval()], Storing(per=per), NAMES, seed=0)


@pytest.mark.parametrize("kind", [{}, {"prune": 7}, {"per": "image"}])
def test_it_tells_how_far_it_is(data, teachers, kind):
    told = []
    relabel(
        data, RECIPE, teachers, Storing(**kind), NAMES, seed=0, machine=Machine(progress=lambda *at: told.append(at))
    )
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(done) and done[-1] == total[0] and set(total) == {total[0]}
    assert total[0] == (20 if "per" in kind else 10 if "prune" in kind else 70)


def test_it_leaves_the_teachers_and_the_random_numbers_as_they_were(data, teachers, label):
    before = [value.clone() for net in teachers for value in net.state_dict().values()]
    drawn = torch.get_rng_state()
    label(replace(RECIPE, halves=True), prune=3)
    after = [value for net in teachers for value in net.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not any(net.training for net in teachers)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_one_seed_one_labelling(label):
    one, again, other = label(prune=3, bits=8), label(prune=3, bits=8), label(prune=3, bits=8, seed=4)
    assert all(np.array_equal(array, again.arrays[name]) for name, array in one.arrays.items())
    assert one.facts == again.facts
    assert not np.array_equal(one.arrays["rows"], other.arrays["rows"])
