"""Real starts against brute force: random ones, those around the median, ranked crops, and RDED's mosaics."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.condensers.decoupled.rded import RDED
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.kinds import Inputs
from decoct.core.seeds import seed
from decoct.engine.blocks import Block
from decoct.engine.patches import square_boxes
from decoct.engine.pixels import Pixels
from decoct.engine.starts import Starts, median_rows, random_rows, ranked_crops, whole

SIZE = 9


@pytest.fixture(scope="module")
def judge():
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        layers = nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 49, 3)
        return nn.Sequential(*layers).eval()


def inputs_of(counts=(31, 4, 17), ipc=4, root=0, **rest):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    images = rng.integers(0, 256, (len(labels), 2, SIZE, SIZE), dtype=np.uint8)
    data = SimpleNamespace(
        train=SimpleNamespace(images=images, labels=labels),
        class_names=("ant", "bee", "cat")[: len(counts)],
        mean=(0.5, 0.4),
        std=(0.25, 0.3),
        shape=(2, SIZE, SIZE),
        size=SIZE,
        flip=True,
    )
    return Inputs(data=data, budget=Budget(ipc=ipc), seed=root, **rest)


def scale_of(inputs):
    return Pixels.of(inputs.data, "cpu")


def members_of(inputs, c):
    return np.flatnonzero(inputs.data.train.labels == c)


def cross_entropy(judge, inputs, image, c):
    """Of one image [C, s, s] from 0 to 255, zero-padded after normalising."""
    gap = SIZE - image.shape[-1]
    x = tv.normalize(image / 255, inputs.data.mean, inputs.data.std)
    x = F.pad(x, (gap // 2, gap - gap // 2, gap // 2, gap - gap // 2))
    with torch.no_grad():
        return F.cross_entropy(judge(x[None]).double(), torch.tensor([c])).item()


def around_the_median(values):
    """Positions of a list from its median outwards: the median, above, below, and so on."""
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    middle, found = len(order) // 2, []
    for step in range(len(order)):
        for place in dict.fromkeys((middle + step, middle - step)):
            if 0 <= place < len(order):
                found.append(order[place])
    return found


# Random rows


@given(c=st.integers(0, 2), count=st.integers(1, 60), root=st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_random_rows_are_distinct_while_there_are_enough(c, count, root):
    inputs = inputs_of(root=root)
    rows, members = random_rows(inputs, "edc", c, count), members_of(inputs, c)
    assert len(rows) == count and set(rows) <= set(members)
    times = np.bincount(np.searchsorted(members, rows), minlength=len(members))
    assert times.max() - times.min() <= 1  # none twice before each has come once


@given(c=st.integers(0, 2), few=st.integers(1, 40), more=st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_more_random_rows_leave_the_first_as_they_are(c, few, more):
    inputs = inputs_of()
    longer = random_rows(inputs, "edc", c, few + more)
    assert (longer[:few] == random_rows(inputs, "edc", c, few)).all()


def test_random_rows_hang_on_the_seed_the_method_and_the_class_alone():
    once = random_rows(inputs_of(root=1), "edc", 0, 31)
    assert (once == random_rows(inputs_of(root=1, classes=(0,)), "edc", 0, 31)).all()
    assert (once != random_rows(inputs_of(root=2), "edc", 0, 31)).any()
    assert (once != random_rows(inputs_of(root=1), "other", 0, 31)).any()


def test_whole_images_are_crops_of_all_of_them():
    rows, boxes = whole(np.array([5, 2]), 9)
    assert rows.tolist() == [5, 2] and boxes.tolist() == [[0, 0, 9, 9]] * 2


# Around the median


@pytest.mark.parametrize("c", [0, 1, 2])
@pytest.mark.parametrize("batch", [3, 100])
def test_median_rows_go_outwards_from_the_median(c, batch, judge):
    inputs, members = inputs_of(), members_of(inputs_of(), c)
    images = torch.from_numpy(inputs.data.train.images[members]).float()
    losses = [cross_entropy(judge, inputs, image, c) for image in images]
    expected = members[around_the_median(losses)].tolist()
    for count in range(1, len(members) + 1):
        assert median_rows(inputs, judge, scale_of(inputs), c, count, batch).tolist() == expected[:count]


def test_median_rows_of_a_small_class_come_again_in_the_same_order(judge):
    inputs = inputs_of()
    once = median_rows(inputs, judge, scale_of(inputs), 1, 4, 100).tolist()
    assert median_rows(inputs, judge, scale_of(inputs), 1, 10, 100).tolist() == once * 2 + once[:2]


# Ranked crops


def brute_force(inputs, judge, c, names, factor, candidates, crops, scale):
    """All best crops with their losses, in the order of the candidates."""
    rng = np.random.default_rng(seed(inputs.seed, *names, c))
    rows = rng.permutation(members_of(inputs, c))[:candidates]
    boxes, best = square_boxes((len(rows), crops), SIZE, scale, rng), []
    for row, places in zip(rows, boxes, strict=True):
        image, scored = torch.from_numpy(inputs.data.train.images[row]).float(), []
        for box in places.tolist():
            part = tv.resized_crop(image, *box, [SIZE // factor] * 2)
            scored.append((cross_entropy(judge, inputs, part, c), int(row), box))
        best.append(min(scored, key=lambda each: each[0]))
    return best


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize(("factor", "candidates", "crops"), [(1, 12, 5), (2, 300, 2), (3, 17, 1)])
def test_ranked_crops_against_a_ranking_of_all(median, factor, candidates, crops, judge):
    inputs, names, scale = inputs_of(root=3), ("rded", "start"), (0.2, 0.9)
    options = {"names": names, "factor": factor, "candidates": candidates, "crops": crops, "scale": scale}
    for c in (0, 2):
        best = brute_force(inputs, judge, c, names, factor, candidates, crops, scale)
        losses = [loss for loss, _, _ in best]
        order = around_the_median(losses) if median else sorted(range(len(best)), key=losses.__getitem__)
        for keep in (1, 4, 12):
            rows, boxes = ranked_crops(inputs, judge, scale_of(inputs), c, keep, median=median, batch=7, **options)
            assert rows.tolist() == [best[i][1] for i in order[:keep]]
            assert boxes.tolist() == [best[i][2] for i in order[:keep]]


def test_a_class_with_fewer_images_than_candidates_gives_all(judge):
    inputs = inputs_of()
    rows, _ = ranked_crops(inputs, judge, scale_of(inputs), 1, 4, names=("x",), candidates=300)
    assert sorted(rows.tolist()) == members_of(inputs, 1).tolist()


def test_too_few_candidates_to_fill_the_set_are_all_images_of_the_class(judge):
    inputs = inputs_of()
    rows, _ = ranked_crops(inputs, judge, scale_of(inputs), 0, 20, names=("x",), candidates=10)
    every, _ = ranked_crops(inputs, judge, scale_of(inputs), 0, 20, names=("x",), candidates=31)
    assert rows.tolist() == every.tolist() and len(set(rows.tolist())) == 20


def test_more_crops_than_images_are_refused(judge):
    inputs = inputs_of()
    with pytest.raises(DecoctError, match="class 'bee' has 4 images, but rded with factor 2 needs one for each of 8"):
        ranked_crops(inputs, judge, scale_of(inputs), 1, 8, names=("rded", "start"), factor=2)


# Images


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_starts_are_the_mosaics_that_rded_builds(factor, judge):
    """9 px at factor 2: tiles of 4 px in an image that they do not fill."""
    inputs = inputs_of((60, 60, 60), ipc=4, root=5, teachers={"teacher": judge})
    pixels = scale_of(inputs)
    made = RDED(factor=factor, candidates=50)(inputs).images.reshape(3, 4, 2, SIZE, SIZE)

    def pick(c):
        return ranked_crops(inputs, judge, pixels, c, 4 * factor**2, names=("rded",), factor=factor, candidates=50)

    starts = Starts(inputs, pixels, 4, pick, factor)
    block = Block((2, 0, 0, 1, 2), (0, 3, 1, 2, 3))
    levels = starts.images(block) * pixels.std + pixels.mean
    assert levels.shape == (5, 2, SIZE, SIZE)
    for ours, c, i in zip(levels, block.classes, block.ids, strict=True):
        assert np.abs(ours.numpy() - made[c, i]).max() <= 0.51  # half a level of rounding


def test_whole_images_start_as_they_are():
    inputs = inputs_of()
    rows = random_rows(inputs, "edc", 0, 4)
    starts = Starts(inputs, scale_of(inputs), 4, lambda c: whole(rows, SIZE))
    expected = scale_of(inputs).normalise(torch.from_numpy(inputs.data.train.images[rows[[2, 0]]]).float())
    torch.testing.assert_close(starts.images(Block((0, 0), (2, 0))), expected)


def test_a_class_is_picked_once_and_only_when_asked_for():
    inputs, asked = inputs_of(), []

    def pick(c):
        asked.append(c)
        return whole(members_of(inputs, c), SIZE)

    starts = Starts(inputs, scale_of(inputs), 4, pick)
    for block in (Block((2, 0), (0, 0)), Block((2, 0), (1, 1)), Block((0,), (2,))):
        starts.images(block)
    assert asked == [2, 0]
