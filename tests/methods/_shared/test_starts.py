"""Blocks by hand, and real starts against brute force: random ones, around the median, ranked crops, mosaics."""

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs
from decoct.core.seeds import seed
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.methods._shared.patches import square_boxes
from decoct.methods._shared.starts import (
    Block,
    cut,
    in_order,
    median_rows,
    random_rows,
    ranked_crops,
    side_by_side,
    whole,
)
from decoct.methods.decoupled.rded import RDED
from decoct.methods.decoupled.sre2l import SRe2L

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
        train=Split(images, labels),
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


def around_the_median(values, middle=None):
    """Positions of a list from its median outwards: the median, above, below, and so on."""
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    middle, found = len(order) // 2 if middle is None else middle, []
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
    rows, boxes, which = whole(np.array([5, 2]), 9)
    assert which == "cached"
    assert rows.tolist() == [5, 2] and boxes.tolist() == [[0, 0, 9, 9]] * 2


# Around the median


@pytest.mark.parametrize("c", [0, 1, 2])
@pytest.mark.parametrize("batch", [3, 100])
def test_median_rows_go_outwards_from_the_median(c, batch, judge):
    inputs, members = inputs_of(), members_of(inputs_of(), c)
    images = torch.from_numpy(inputs.data.train.images[members]).float()
    sure = [-cross_entropy(judge, inputs, image, c) for image in images]
    expected = members[around_the_median(sure, -(-len(sure) // 2))].tolist()
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
    boxes, best = square_boxes(rng.random((len(rows), crops, 3)), [(SIZE, SIZE)] * len(rows), scale), []
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
            rows, boxes, which = ranked_crops(
                inputs, judge, scale_of(inputs), c, keep, median=median, batch=7, **options
            )
            assert rows.tolist() == [best[i][1] for i in order[:keep]]
            assert boxes.tolist() == [best[i][2] for i in order[:keep]] and which == "cached"


def test_a_class_with_fewer_images_than_candidates_gives_all(judge):
    inputs = inputs_of()
    rows, *_ = ranked_crops(inputs, judge, scale_of(inputs), 1, 4, names=("x",), candidates=300)
    assert sorted(rows.tolist()) == members_of(inputs, 1).tolist()


def test_too_few_candidates_to_fill_the_set_are_all_images_of_the_class(judge):
    inputs = inputs_of()
    rows, *_ = ranked_crops(inputs, judge, scale_of(inputs), 0, 20, names=("x",), candidates=10)
    every, *_ = ranked_crops(inputs, judge, scale_of(inputs), 0, 20, names=("x",), candidates=31)
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

    for c in range(3):
        crops = ranked_crops(inputs, judge, pixels, c, 4 * factor**2, names=("rded",), factor=factor, candidates=50)
        for i in (0, 3, 1):
            (ours,) = cut(inputs, pixels, crops, i, 4) * pixels.std + pixels.mean
            assert np.abs(ours.numpy() - made[c, i]).max() <= 0.51  # half a level of rounding


def test_whole_images_start_as_they_are():
    inputs = inputs_of()
    rows = random_rows(inputs, "edc", 0, 4)
    expected = scale_of(inputs).normalise(torch.from_numpy(inputs.data.train.images[rows[2]]).float())
    torch.testing.assert_close(cut(inputs, scale_of(inputs), whole(rows, SIZE), 2, 4)[0], expected)


# Blocks

classes_of = st.lists(st.integers(0, 999), min_size=1, max_size=30, unique=True).map(sorted)


def one_of_each(classes, ipc, size):
    return SRe2L(block=size).blocks(classes, ipc)


layouts = pytest.mark.parametrize("layout", [one_of_each, in_order])


def pairs(block):
    return list(zip(block.classes, block.ids, strict=True))


def test_one_of_each_by_hand():
    assert [pairs(block) for block in one_of_each([0, 1, 2, 5, 7], 2, 3)] == [
        [(0, 0), (1, 0), (2, 0)],
        [(0, 1), (1, 1), (2, 1)],
        [(5, 0), (7, 0)],
        [(5, 1), (7, 1)],
    ]


def test_in_order_by_hand():
    few = [[(3, 0), (3, 1), (4, 0), (4, 1)], [(9, 0), (9, 1)]]
    assert [pairs(block) for block in in_order([3, 4, 9], 2, 5)] == few
    many = [[(3, 0), (3, 1), (3, 2)], [(3, 3), (3, 4)], [(4, 0), (4, 1), (4, 2)], [(4, 3), (4, 4)]]
    assert [pairs(block) for block in in_order([3, 4], 5, 3)] == many
    assert [pairs(block) for block in in_order([3, 4], 3, 3)] == [many[0], many[2]]


def test_a_block_is_called_by_its_first_class_and_id():
    block = Block((4, 4, 5), (7, 8, 0))
    assert block.name == (4, 7) and len(block) == 3


@layouts
@given(classes=classes_of, ipc=st.integers(1, 30), size=st.integers(1, 40))
def test_every_image_is_in_one_block_and_no_block_is_too_large(layout, classes, ipc, size):
    blocks = layout(classes, ipc, size)
    counts = Counter(pair for block in blocks for pair in pairs(block))
    assert counts == Counter({(c, i): 1 for c in classes for i in range(ipc)})
    assert all(1 <= len(block) <= size for block in blocks)
    assert len({block.name for block in blocks}) == len(blocks)  # names tell the draws of blocks apart


@layouts
@given(classes=classes_of, ipc=st.integers(1, 12), size=st.integers(1, 20), data=st.data())
def test_a_shard_of_whole_groups_of_classes_is_that_part_of_the_blocks(layout, classes, ipc, size, data):
    blocks = layout(classes, ipc, size)
    group = len(set(blocks[0].classes))
    start = data.draw(st.integers(0, (len(classes) - 1) // group)) * group
    end = data.draw(st.sampled_from([*range(start + group, len(classes), group), len(classes)]))
    part = classes[start:end]
    assert layout(part, ipc, size) == [block for block in blocks if set(block.classes) <= set(part)]
    assert all(set(block.classes) <= set(part) or not set(block.classes) & set(part) for block in blocks)


@given(classes=classes_of, ipc=st.integers(1, 12), more=st.integers(0, 5), size=st.integers(1, 20))
def test_one_of_each_holds_one_number_and_classes_in_order(classes, ipc, more, size):
    blocks = one_of_each(classes, ipc, size)
    assert all(len(set(block.ids)) == 1 and list(block.classes) == sorted(set(block.classes)) for block in blocks)
    assert set(blocks) <= set(one_of_each(classes, ipc + more, size))  # a larger set begins with the smaller one


@given(classes=classes_of, ipc=st.integers(1, 30), size=st.integers(1, 40))
def test_in_order_is_sorted_and_never_cuts_two_classes_in_one_block(classes, ipc, size):
    blocks = in_order(classes, ipc, size)
    assert [pair for block in blocks for pair in pairs(block)] == [(c, i) for c in classes for i in range(ipc)]
    for block in blocks:
        whole = set(Counter(block.classes).values()) == {ipc}
        assert whole or len(set(block.classes)) == 1
    assert all(len(block) > size - ipc for block in blocks[:-1]) or ipc >= size  # as many whole classes as fit


@given(
    lengths=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1)), min_size=1, max_size=20),
    images=st.integers(1, 12),
)
def test_side_by_side_keeps_length_key_and_room(lengths, images):
    blocks = [Block((key,) * length, tuple(range(i, i + length))) for i, (length, key) in enumerate(lengths)]
    runs = list(side_by_side(blocks, images, lambda block: block.classes[0]))
    flat = [block for run in runs for block in run]
    assert sorted(flat, key=lambda block: block.ids) == blocks
    for kind in {(len(block), block.classes) for block in blocks}:  # those alike stay in order
        assert [b for b in flat if (len(b), b.classes) == kind] == [b for b in blocks if (len(b), b.classes) == kind]
    for run in runs:
        assert len({(len(block), block.classes[0]) for block in run}) == 1
        assert len(run) == 1 or sum(map(len, run)) <= images
    for run, following in pairwise(runs):
        alike = (len(run[0]), run[0].classes[0]) == (len(following[0]), following[0].classes[0])
        assert not alike or sum(map(len, run)) + len(run[0]) > images  # as many as there is room for
