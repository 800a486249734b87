"""Views: what is drawn depends on the seed alone; rendering against image after image, with torchvision's functions."""

import dataclasses
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as reference

from decoct.data.augment import colour, dsa
from decoct.training.images import Images
from decoct.training.recipe import Recipe
from decoct.training.views import Draws, View, render

PLAIN = Recipe(steps=60, batch=8, optimiser="sgd", lr=0.05, weight_decay=0.0, schedule="cosine")
STORED = {  # kinds of augmentation whose draws can be stored
    "pad": {"pad": 2},
    "scale": {"scale": (0.1, 1.0)},
    "flip": {"flip": True},
    "shuffle": {"shuffle": 2},
    "cutmix": {"cutmix": 1.0},
    "mixup": {"mixup": 0.8},
    "pad, flip, cutmix": {"pad": 1, "flip": True, "cutmix": 0.5},
    "shuffle, scale, flip, mixup": {"shuffle": 3, "scale": (0.3, 1.0), "flip": True, "mixup": 1.0},
}
KINDS = STORED | {
    "none": {},
    "jitter": {"jitter": 0.4},
    "lighting": {"lighting": 0.1},
    "pad, jitter": {"pad": 1, "jitter": 0.4},
    "pad, shuffle, lighting": {"pad": 2, "shuffle": 2, "lighting": 0.1},
    "dsa": {"dsa": True, "flip": True},
    "dsa, cutmix": {"dsa": True, "cutmix": 1.0},
    "all at once": {"scale": (0.3, 1.0), "flip": True, "shuffle": 2, "jitter": 0.4, "lighting": 0.1, "cutmix": 1.0},
}
kinds = pytest.mark.parametrize("kind", KINDS)


def content(value):
    """A view as nested lists, to compare."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if dataclasses.is_dataclass(value):
        return {field.name: content(getattr(value, field.name)) for field in fields(value)}
    return [content(part) for part in value] if isinstance(value, tuple) else value


def some_rows(*sizes, seed=0):
    rows = torch.randint(0, 20, (sum(sizes),), generator=torch.Generator().manual_seed(seed))
    return list(rows.split(sizes))


# Drawing


@kinds
def test_draws_hang_on_recipe_size_and_seed_and_not_on_the_images_or_what_ran_before(kind):
    views = []
    for seed, start, before in ((1, 0, 0), (1, 9, 5), (2, 0, 0)):
        torch.random.default_generator.manual_seed(before)
        view = Draws(replace(PLAIN, **KINDS[kind]), 12, seed)(some_rows(4, 3, seed=start))
        views.append(content(replace(view, rows=torch.zeros(7))))
    assert views[0] == views[1]
    assert (views[0] == views[2]) == (kind == "none")


@kinds
def test_what_is_drawn_is_what_the_recipe_asks_for(kind):
    recipe = replace(PLAIN, **KINDS[kind])
    rows = some_rows(4, 1, 3)
    view = Draws(recipe, 12, 0)(rows)
    assert torch.equal(view.rows, torch.cat(rows)) and view.sizes == (4, 1, 3)
    own = not recipe.dsa
    drawn = {
        "corners": own and recipe.pad > 0 and recipe.scale is None,
        "boxes": own and recipe.scale is not None,
        "mirrored": own and recipe.flip,
        "tiles": own and recipe.shuffle > 1,
        "jitter": own and recipe.jitter > 0,
        "lighting": own and recipe.lighting > 0,
    }
    assert {name: getattr(view, name) is not None for name in drawn} == drawn
    assert all(len(getattr(view, name)) == 8 for name in set(drawn) - {"jitter"} if drawn[name])
    assert len(view.siamese) == (3 if recipe.dsa else 0)
    assert [mix is None for mix in view.mixes] == ([False, True, False] if recipe.cutmix or recipe.mixup else [])


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_a_batch_of_two_is_mixed_and_one_image_has_none_to_mix_with(kind):
    view = Draws(replace(PLAIN, **KINDS[kind]), 12, 0)(some_rows(2, 1, 2))
    assert [mix is None for mix in view.mixes] == [False, True, False]


@kinds
def test_a_plain_recipe_draws_nothing(kind):
    rows = some_rows(4, 3)
    view = Draws(replace(PLAIN, **KINDS[kind]).plain(), 12, 0)(rows)
    assert content(view) == content(View(torch.cat(rows), (4, 3)))


def test_half_of_the_images_are_mirrored_and_others_are_not():
    mirrored = Draws(replace(PLAIN, flip=True), 12, 0)([torch.arange(2000)]).mirrored
    assert mirrored.dtype == torch.bool
    assert abs(int(mirrored.sum()) - 1000) < 100  # 4.5 standard deviations


@kinds
def test_a_state_goes_on_where_it_was_taken(kind):
    recipe = replace(PLAIN, **KINDS[kind])
    first, second = Draws(recipe, 12, 3), Draws(recipe, 12, 4)
    first(some_rows(4, 3))
    state = first.state()
    expected = content(first(some_rows(5)))
    second.restore(state)
    assert content(second(some_rows(5))) == expected


def test_mixing_does_not_move_the_crops():
    """Two protocols that differ in mixing alone crop alike."""
    recipe = replace(PLAIN, pad=2, flip=True)
    bare, mixing = Draws(recipe, 12, 0), Draws(replace(recipe, cutmix=1.0), 12, 0)
    for _ in range(3):
        one, other = bare(some_rows(4, 3)), mixing(some_rows(4, 3))
        assert other.mixes and content(one) == content(replace(other, mixes=()))


# Splitting and joining


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(list(STORED)), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 99))
def test_join_undoes_split(kind, sizes, seed):
    view = Draws(replace(PLAIN, **STORED[kind]), 12, seed)(some_rows(*sizes))
    parts = view.split()
    assert [part.sizes for part in parts] == [(size,) for size in sizes]
    assert content(View.join(parts)) == content(view)
    assert content(View.join([View.join(parts[:1]), *parts[1:]])) == content(view)


@pytest.mark.parametrize("kind", STORED)
def test_a_batch_by_itself_looks_as_it_did_among_others(kind):
    images = pictures(3, torch.uint8)
    view = Draws(replace(PLAIN, **STORED[kind]), 9, 0)(some_rows(4, 1, 3))
    pad = STORED[kind].get("pad", 0)
    alone = torch.cat([render(images, part, pad) for part in view.split()])
    torch.testing.assert_close(alone, render(images, view, pad))


@pytest.mark.parametrize("kind", ["jitter", "lighting", "dsa"])
def test_colours_cannot_be_split(kind):
    view = Draws(replace(PLAIN, **KINDS[kind]), 12, 0)(some_rows(4, 3))
    with pytest.raises(ValueError, match="not stored"):
        view.split()


# Rendering


def pictures(channels, dtype, size=9, room=None, pad=0):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (20, channels, size, size), generator=generator, dtype=torch.uint8)
    images = images if dtype == torch.uint8 else images / 255
    return Images.of(images, (0.4, 0.5, 0.3)[:channels], (0.3, 0.2, 0.25)[:channels], "cpu", pad, room)


def bands(image, order, axis):
    """Bands of an image in another order; the first ones have the remainder's pixels."""
    size, factor = image.shape[axis], len(order)
    parts = image.split([size // factor + (i < size % factor) for i in range(factor)], axis)
    return torch.cat([parts[i] for i in order], axis)


def adjusted(image, drawn, i):
    adjust = reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation
    for kind in drawn.order[i].tolist():
        image = adjust[kind](image, float(drawn.factors[i, kind]))
    return image


def lit(image, weights):
    """Each channel by its own sum over the components; a grey image by the mean of the three."""
    shift = [
        sum(float(w) * value * vector for w, value, vector in zip(weights, colour.EIGENVALUES, row, strict=True))
        for row in colour.EIGENVECTORS
    ]
    return image + torch.tensor(shift if len(image) == 3 else [sum(shift) / 3])[:, None, None]


def slow(stored, view, pad):
    """The view of images one after the other, in [0, 1]; bytes stay bytes until their colours change."""
    seen = []
    for i, row in enumerate(view.rows.tolist()):
        image = stored[row]
        size = image.shape[-1]
        if view.tiles is not None:
            columns, rows = view.tiles[i].tolist()
            image = bands(bands(image, columns, 2), rows, 1)
        if view.corners is not None:
            top, left = view.corners[i].tolist()
            image = F.pad(image, [pad] * 4)[:, top : top + size, left : left + size]
        if view.boxes is not None:
            image = reference.resized_crop(image, *view.boxes[i].tolist(), [size, size], antialias=True)
        if view.mirrored is not None and view.mirrored[i]:
            image = image.flip(2)
        image = image / 255 if image.dtype == torch.uint8 else image
        if view.jitter is not None:
            image = adjusted(image, view.jitter, i)
        if view.lighting is not None:
            image = lit(image, view.lighting[i])
        seen.append(image)
    return torch.stack(seen)


def mixed(batch, mix):
    if mix is None:
        return batch
    partners = batch[mix.order]
    if mix.box is None:
        return mix.share * batch + (1 - mix.share) * partners
    top, bottom, left, right = mix.box
    made = batch.clone()
    made[:, :, top:bottom, left:right] = partners[:, :, top:bottom, left:right]
    return made


@pytest.mark.parametrize("room", [None, 0], ids=["device", "host"])
@pytest.mark.parametrize(("channels", "dtype"), [(3, torch.uint8), (1, torch.uint8), (3, torch.float32)])
@kinds
def test_a_view_is_rendered_as_image_after_image(kind, channels, dtype, room):
    recipe = replace(PLAIN, **KINDS[kind])
    images = pictures(channels, dtype, room=room, pad=recipe.pad)
    view = Draws(recipe, 9, 7)(some_rows(6, 1, 5))
    x = (slow(images.stored, view, recipe.pad) * images.white - images.mean) / images.std
    batches = list(x.split(view.sizes))
    batches = [dsa.apply(x, drawn) for x, drawn in zip(batches, view.siamese, strict=True)] if recipe.dsa else batches
    batches = [mixed(x, mix) for x, mix in zip(batches, view.mixes, strict=True)] if view.mixes else batches
    made = render(images, view, recipe.pad)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, torch.cat(batches), atol=2e-4, rtol=0)
    still = (images.stored[view.rows] - images.mean) / images.std
    assert torch.equal(made, still) == (kind == "none")


def test_the_border_is_black():
    """Of the colour 0 before the normalisation, not of the mean colour."""
    images = pictures(3, torch.uint8, pad=2)
    view = View(torch.tensor([4]), (1,), corners=torch.tensor([[0, 4]]))
    made = render(images, view, 2)
    black = (-images.mean / images.std).expand(3, 2, 9)
    torch.testing.assert_close(made[0, :, :2], black)
    torch.testing.assert_close(made[0, :, :, -2:], black.mT)


def test_rendering_leaves_the_images_alone():
    images = pictures(3, torch.float32)
    before = images.stored.clone()
    for kind in KINDS.values():
        recipe = replace(PLAIN, **kind)
        render(images, Draws(recipe, 9, 0)(some_rows(6, 5)), recipe.pad)
    assert torch.equal(images.stored, before)
