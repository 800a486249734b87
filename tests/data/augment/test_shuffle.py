"""The patch shuffle against tiles that are cut out and put together one by one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.data.augment.shuffle import draw_shuffle, shuffle


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def put(image, order, axis):
    """Bands of an image in another order; the first ones have the remainder's pixels."""
    size, factor = image.shape[axis], len(order)
    bands = image.split([size // factor + (i < size % factor) for i in range(factor)], axis)
    return torch.cat([bands[i] for i in order], axis)


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    factor=st.integers(1, 5),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    seed=st.integers(0, 2**31),
)
def test_columns_and_rows_of_tiles_stand_in_the_order_drawn(height, width, factor, dtype, seed):
    images = torch.randint(0, 256, (5, 3, height, width), generator=rng(seed)).to(dtype)
    drawn = draw_shuffle(5, factor, rng(seed))
    made = shuffle(images, drawn)
    assert made.dtype == dtype
    for image, (columns, rows), ours in zip(images, drawn.tolist(), made, strict=True):
        assert torch.equal(ours, put(put(image, columns, 2), rows, 1))
        assert torch.equal(ours.flatten(1).sort().values, image.flatten(1).sort().values)  # no pixel is lost


def test_the_tiles_are_those_of_the_mosaic():
    from decoct.methods._shared.patches import mosaic

    values = torch.arange(9.0).view(9, 1, 1, 1)
    made = mosaic(values.expand(9, 1, 4, 4), 3, 11)
    columns, rows = [2, 0, 1], [1, 2, 0]
    moved = shuffle(made, torch.tensor([[columns, rows]]))[0, 0]
    for tile in values.flatten():
        assert (moved == tile).sum() == (made == tile).sum()
    assert moved.unique_consecutive(dim=0).unique_consecutive(dim=1).tolist() == [
        [3.0 * row + column for column in columns] for row in rows
    ]


def test_all_orders_are_equally_likely_and_columns_and_rows_independent():
    drawn = draw_shuffle(9000, 3, rng())
    assert (drawn.sort(-1).values == torch.arange(3)).all()
    codes = (drawn * torch.tensor([9, 3, 1])).sum(-1)
    _, counts = (codes[:, 0] * 27 + codes[:, 1]).unique(return_counts=True)
    assert len(counts) == 36
    assert ((counts - 250) ** 2 / 250).sum() < 66.6  # chi-square with 35 degrees: p < 0.001


def test_gradients_go_back_to_where_pixels_came_from():
    for size in (6, 7):
        images = torch.rand(2, 1, size, size, generator=rng(), requires_grad=True)
        drawn = draw_shuffle(2, 3, rng(3))
        made = shuffle(images, drawn)
        (gradient,) = torch.autograd.grad((made**2).sum() / 2, images)
        torch.testing.assert_close(gradient, images.detach())


def test_draws_come_from_the_generator_alone():
    torch.random.default_generator.manual_seed(0)
    one = draw_shuffle(20, 4, rng(1))
    torch.random.default_generator.manual_seed(1)
    assert torch.equal(draw_shuffle(20, 4, rng(1)), one)
    assert not torch.equal(draw_shuffle(20, 4, rng(2)), one)
