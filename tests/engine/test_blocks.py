"""Layouts by hand, and what holds of each of them whatever the classes, the budget and the sizes."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.engine.blocks import Block, in_order, one_of_each, side_by_side

classes = st.lists(st.integers(0, 999), min_size=1, max_size=30, unique=True).map(sorted)
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
@given(classes=classes, ipc=st.integers(1, 30), size=st.integers(1, 40))
def test_every_image_is_in_one_block_and_no_block_is_too_large(layout, classes, ipc, size):
    blocks = layout(classes, ipc, size)
    counts = Counter(pair for block in blocks for pair in pairs(block))
    assert counts == Counter({(c, i): 1 for c in classes for i in range(ipc)})
    assert all(1 <= len(block) <= size for block in blocks)
    assert len({block.name for block in blocks}) == len(blocks)  # names tell the draws of blocks apart


@layouts
@given(classes=classes, ipc=st.integers(1, 12), size=st.integers(1, 20), data=st.data())
def test_a_shard_of_whole_groups_of_classes_is_that_part_of_the_blocks(layout, classes, ipc, size, data):
    blocks = layout(classes, ipc, size)
    group = len(set(blocks[0].classes))
    start = data.draw(st.integers(0, (len(classes) - 1) // group)) * group
    end = data.draw(st.sampled_from([*range(start + group, len(classes), group), len(classes)]))
    part = classes[start:end]
    assert layout(part, ipc, size) == [block for block in blocks if set(block.classes) <= set(part)]
    assert all(set(block.classes) <= set(part) or not set(block.classes) & set(part) for block in blocks)


@given(classes=classes, ipc=st.integers(1, 12), more=st.integers(0, 5), size=st.integers(1, 20))
def test_one_of_each_holds_one_number_and_classes_in_order(classes, ipc, more, size):
    blocks = one_of_each(classes, ipc, size)
    assert all(len(set(block.ids)) == 1 and list(block.classes) == sorted(set(block.classes)) for block in blocks)
    assert set(blocks) <= set(one_of_each(classes, ipc + more, size))  # a larger set begins with the smaller one


@given(classes=classes, ipc=st.integers(1, 30), size=st.integers(1, 40))
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


def test_side_by_side_without_a_key_looks_at_lengths_alone():
    blocks = one_of_each([0, 1, 2], 3, 2)
    assert [len(run) for run in side_by_side(blocks, 100)] == [3, 3]
    assert [len(run) for run in side_by_side(blocks, 4)] == [2, 1, 3]
    assert list(side_by_side([], 4)) == []
