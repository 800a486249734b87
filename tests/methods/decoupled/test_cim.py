"""CIM against a rewrite of its loop, and its tiles and features by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.data.augment import dsa
from decoct.methods.decoupled.cim import CIM, enlarged
from decoct.needs.teacher import Teacher


def anchors_of(box, c, keep, candidates, root=3):
    """The easiest of random images of a class, easy first, as floats from 0 to 1."""
    rng = np.random.default_rng(seed(root, "cim", "candidates", c))
    mine = box.data.train.images[rng.permutation(np.flatnonzero(box.data.train.labels == c))[:candidates]]
    with torch.no_grad():
        losses = F.cross_entropy(box.teacher(box.normalised(mine)), torch.full((len(mine),), c), reduction="none")
    return torch.from_numpy(mine[losses.argsort()[:keep].numpy()]).float() / 255


@pytest.mark.parametrize(("layer", "flip"), [(None, False), (-3, True)])
def test_a_class_is_the_papers_loop(layer, flip, toy):
    box = toy(flip=flip)
    method, ipc, c = CIM(iterations=9, candidates=25, layer=layer), 2, 1
    draft = method(box.inputs(ipc, seed=3))
    anchors = anchors_of(box, c, 8, 25)
    small = anchors[..., ::2, ::2]  # nearest neighbour takes every other pixel
    start = torch.stack(
        [
            torch.cat([torch.cat([small[j], small[2 + j]], 2), torch.cat([small[4 + j], small[6 + j]], 2)], 1)
            for j in (0, 1)
        ]
    )
    assert (draft.initial[2:4] == (255 * start.numpy()).round()).all()
    delta = torch.zeros_like(start, requires_grad=True)
    adam, rng = torch.optim.AdamW([delta], 0.01, weight_decay=0.01), Generator().manual_seed(seed(3, "cim", c))
    phi = box.teacher[:3] if layer == -3 else box.teacher[:5]
    for _ in range(9):
        drawn = [dsa.draw(1, 8, flip, rng, siamese=True, ops=(op,)) for op in ("flip", "crop", "cutout")[not flip :]]
        image, total = start + delta, 0.0
        for j in range(2):
            for k, (y, x) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
                tile = F.interpolate(image[j : j + 1, :, y : y + 4, x : x + 4], (8, 8), mode="bilinear")
                real, made = (seen(phi, (i - 0.5) / 0.25, drawn) for i in (anchors[2 * k + j][None], tile))
                total = total + (real.detach() - made).abs().mean()
        adam.zero_grad()
        total.backward()
        adam.step()
    expected = (255 * (start + delta)).round().clamp(0, 255).detach().numpy()
    assert np.abs(draft.images[2:4] - expected).max() <= 1


def seen(phi, image, drawn):
    """Features of a normalised image behind its transforms, written with shifts and zeros."""
    for each in drawn:
        values = each.values[0].tolist()
        if each.op == "flip":
            image = image.flip(3) if values else image
        elif each.op == "crop":
            down, right = values
            image = F.pad(image, (1, 1, 1, 1))[:, :, 1 + down : 9 + down, 1 + right : 9 + right]
        else:
            top, left, bottom, right = values
            keep = torch.ones(8, 8)
            keep[max(top, 0) : bottom, max(left, 0) : right] = 0
            image = image * keep
    return phi(image)


def test_the_loss_falls_and_the_set_is_of_mosaics(toy):
    draft = CIM(iterations=60, layer=-3)(toy(others=()).inputs(2))
    assert draft.notes["loss_last"] < draft.notes["loss_first"] and draft.mosaic == 2
    assert draft.steps == 3 * 60


def test_tiles_come_back_as_their_anchors():
    images = torch.arange(2 * 16.0).reshape(2, 1, 4, 4)
    tiles = enlarged(images, 2)
    assert tiles.shape == (8, 1, 4, 4)
    for j in range(2):
        for k, (y, x) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
            whole = F.interpolate(images[j : j + 1, :, y : y + 2, x : x + 2], (4, 4), mode="bilinear")[0]
            assert torch.allclose(tiles[k * 2 + j], whole)
    assert torch.equal(enlarged(images, 1), images)


@pytest.mark.parametrize(("size", "factor"), [(9, 2), (8, 3)])
def test_a_side_that_the_factor_does_not_divide_is_refused(size, factor, toy):
    with pytest.raises(UsageError, match=f"images of {size} px do not fall into {factor} × {factor} equal tiles"):
        CIM(factor=factor)(toy(size).inputs(1))


def test_too_few_images_for_the_anchors_is_an_error_that_says_what_to_lower(toy):
    with pytest.raises(DecoctError, match=r"class 'a' has 40 images.*44 anchors: lower --ipc or factor"):
        CIM()(toy().inputs(11))


def test_all_that_are_needed_are_looked_at_where_candidates_would_not_fill_the_set(toy):
    box = toy()
    assert len(CIM(iterations=1, candidates=5)(box.inputs(10)).images) == 30


def test_a_loss_that_is_not_finite_is_told(toy):
    box = toy()
    with torch.no_grad():
        box.teacher[0].bias[0] = torch.inf
    with pytest.raises(DecoctError, match=r"cim, class 'a': the loss is not finite at step 1 of 12 \(from the"):
        CIM(iterations=12)(box.inputs(1))


def test_without_iterations_the_mosaics_are_the_set(toy):
    draft = CIM(iterations=0)(toy().inputs(2))
    assert np.array_equal(draft.images, draft.initial) and not draft.notes and not draft.steps


def test_the_layer_follows_the_resolution():
    assert (CIM().at(8).layer, CIM().at(64).layer, CIM().at(224).layer, CIM(layer=-2).at(224).layer) == (-1, -1, -4, -2)
    assert CIM(preset="imagenet1k").at(8).layer == -4
    spec = CIM()
    assert (spec.factor, spec.candidates, spec.lr, spec.iterations) == (2, 300, 0.01, 200)


def test_it_needs_its_teacher_and_leaves_it_as_it_was(toy):
    assert CIM(teacher="resnet18").needs() == (Teacher(net="resnet18"),)
    box = toy()
    CIM(iterations=2)(box.inputs(1))
    assert all(p.requires_grad and p.grad is None for p in box.teacher.parameters())
    assert not any(m._forward_pre_hooks for m in box.teacher.modules() if isinstance(m, nn.Module))
