"""SRe2L on a tiny teacher: layout, seeds, blocks and groups, and that it recovers what it is meant to."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decoct.core.errors import DecoctError
from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled._shared.recovery import Workpiece
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.teacher import Teacher

SHORT = SRe2L(iterations=12)


def taught(box):
    """The toy's teacher after a short training on images whose brightness is their class."""
    images, labels = box.data.train.images, torch.from_numpy(box.data.train.labels)
    images[:] = images // 4 + 80 * box.data.train.labels.astype(np.uint8)[:, None, None, None] % 190
    x = (torch.from_numpy(images).float() / 255 - 0.5) / 0.25
    optimiser = torch.optim.Adam(box.teacher.train().parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(box.teacher(x), labels).backward()
        optimiser.step()
    box.teacher.eval()
    assert (box.teacher(x).argmax(1) == labels).float().mean() > 0.9
    return box


def test_images_come_class_after_class_and_the_teacher_agrees(toy):
    box = taught(toy())
    draft = SRe2L(iterations=300)(box.inputs(4))
    assert draft.images.shape == (12, 1, 8, 8) and draft.images.dtype == np.uint8
    assert draft.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    with torch.no_grad():
        x = (torch.from_numpy(draft.images).float() / 255 - 0.5) / 0.25
        right = (box.teacher(x).argmax(1).numpy() == draft.labels).mean()
    assert right == pytest.approx(draft.notes["teacher_agreement"]) and right >= 0.9
    assert draft.notes["bn_loss_last"] < draft.notes["bn_loss_first"] / 2
    assert draft.steps == 300
    assert draft.initial.shape == draft.images.shape and (draft.initial != draft.images).any()


def test_a_smaller_set_is_the_beginning_of_a_larger_one(toy):
    box = toy()
    small, large = (SHORT(box.inputs(ipc)).images.reshape(3, ipc, 1, 8, 8).astype(int) for ipc in (2, 5))
    assert np.abs(large[:, :2] - small).max() <= 1
    first, second = (SHORT(box.inputs(ipc)).initial.reshape(3, ipc, 1, 8, 8) for ipc in (2, 5))
    assert (second[:, :2] == first).all()


def test_how_many_groups_run_together_does_not_matter(toy):
    box = toy()
    together = SRe2L(iterations=12)(box.inputs(4))
    alone = SRe2L(iterations=12, batch=3)(box.inputs(4))
    assert np.abs(together.images.astype(int) - alone.images).max() <= 1
    assert together.notes == pytest.approx(alone.notes, rel=1e-4)
    assert (together.steps, alone.steps) == (12, 48)


def test_a_block_of_classes_is_recovered_by_itself(toy):
    box = toy(classes=5)
    draft = SRe2L(iterations=3, block=2, batch=2)(box.inputs(2))
    assert draft.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert draft.steps == 3 * (2 + 2 + 1)  # two images of each pair of classes, and both of the last class at once
    assert len(np.unique(draft.initial.reshape(10, -1), axis=0)) == 10


def test_same_seed_same_images_and_another_seed_others(toy):
    box = toy()
    first, again, other = (SHORT(box.inputs(2, seed)) for seed in (0, 0, 1))
    assert (first.images == again.images).all()
    assert (first.images != other.images).any() and (first.initial != other.initial).any()


def test_defaults_follow_the_resolution():
    def values(size):
        spec = SRe2L().at(size)
        return spec.lr, spec.iterations, spec.r, spec.jitter, spec.scale

    assert values(8) == (0.25, 1000, 0.01, 1, (0.5, 1.0))
    assert values(28) == values(64) == (0.25, 1000, 0.01, 4, (0.5, 1.0))
    assert values(224) == (0.25, 4000, 0.01, 32, (0.08, 1.0))
    assert SRe2L(jitter=0, iterations=7).at(224).jitter == 0
    tiny = SRe2L(preset="tiny").at(64)
    assert (tiny.lr, tiny.iterations, tiny.r, tiny.jitter, tiny.scale) == (0.1, 4000, 1.0, 4, (0.08, 1.0))
    cifar = SRe2L(preset="cifar100").at(32)
    assert (cifar.lr, cifar.iterations, cifar.r, cifar.jitter, cifar.scale) == (0.25, 1000, 0.01, 4, (1.0, 1.0))


@pytest.mark.parametrize(
    ("preset", "rolls", "mirrors"), [("tiny", -4, True), ("cifar100", 0, False), ("small", 0, True)]
)
def test_views_are_those_of_the_authors_program(preset, rolls, mirrors, toy, monkeypatch):
    views, draw = [], Views.draw.__func__
    monkeypatch.setattr(Views, "draw", classmethod(lambda *a, **k: views.append(draw(*a, **k)) or views[0]))
    SRe2L(preset=preset, iterations=60)(toy(12, flip=True).inputs(1))
    assert set(views[0].rolls.unique().tolist()) == set(range(rolls, 5))
    assert bool(views[0].mirrored.any()) == mirrors
    assert bool((views[0].boxes == torch.tensor([0, 0, 12, 12])).all()) == (preset == "cifar100")


def test_progress_counts_every_iteration_of_every_batch(toy):
    calls = []
    SRe2L(iterations=20, batch=3)(toy().inputs(2, progress=lambda *a: calls.append(a)))
    assert calls == [(done, 40) for done in range(1, 41)]


def test_the_teacher_is_left_as_it_was_found(toy):
    box = toy()
    before = {name: value.clone() for name, value in box.teacher.state_dict().items()}
    SHORT(box.inputs(1))
    assert all(torch.equal(value, before[name]) for name, value in box.teacher.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in box.teacher.parameters())
    assert not any(m._forward_pre_hooks for m in box.teacher.modules())


def test_a_loss_that_is_not_finite_is_an_error(toy):
    box = toy()
    with torch.no_grad():
        box.teacher[-1].bias[0] = torch.nan
    with pytest.raises(DecoctError, match="sre2l: the loss is not finite at step 1 of 12"):
        SHORT(box.inputs(1))


def test_it_needs_its_teacher():
    assert SRe2L(nets=("resnet18",)).needs() == (Teacher(net="resnet18"),)


@pytest.mark.parametrize(("size", "channels", "flip"), [(8, 1, False), (9, 3, True)])
def test_a_block_is_the_papers_loop(size, channels, flip, toy, rewrite, layer_moments, apart):
    box, spec = toy(size, channels, flip=flip), SRe2L(iterations=8).at(size)
    norm, labels = box.teacher[1], torch.arange(3)

    def loss(seen, t, active):
        logits, found = layer_moments(box.teacher, seen, nn.BatchNorm2d)
        return F.cross_entropy(logits, labels) + 0.01 * apart(found, [(norm.running_mean, norm.running_var)])

    start = torch.zeros(3, *box.data.shape)
    expected = rewrite(box, spec, start, loss, name=(0, 1), seed=5, noise=True)
    made = SRe2L(iterations=8)(box.inputs(2, seed=5)).images.reshape(3, 2, *box.data.shape)[:, 1]
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_the_gradient_of_a_pixel_is_that_of_finite_differences(toy):
    box, spec = toy(6, 2), SRe2L(iterations=3, r=0.3).at(6)
    box.teacher.double()
    work = Workpiece(spec, box.inputs(2), Pixels.of(box.data, "cpu"), lambda c: None, spec.blocks(range(3), 2), 0, 1)
    views = Views.draw(work.rngs, 1, 6, scale=(0.3, 0.9), flip=True, jitter=2, device="cpu")

    def loss(images):
        values = work.terms(images, views.at(0), work.labels.flatten(), 0)
        return (values["ce"] + 0.3 * values["bn_loss"]).sum()

    images = torch.randn(2, 3, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with work.alignments["teacher"].watching():
        assert torch.autograd.gradcheck(loss, images.requires_grad_(), eps=1e-7, atol=1e-6)
