"""MTT against the paper's loop written out with autograd and torch's SGD; kills, bad numbers and bad settings."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.core.spec import parse
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.data.whitening import Whitening
from decoct.methods.matching._shared import trajectories as trajectory_matching
from decoct.methods.matching._shared.trajectories import Inner
from decoct.methods.matching.mtt import MTT
from decoct.needs.trajectory import Experts, Trajectories, Trajectory, flattened, shapes_of
from decoct.nets import zoo

NET = {"net": "convnet1_w8", "experts": 2, "epochs": 4}
FIELDS = NET | {"iterations": 4, "syn_steps": 3, "max_start_epoch": 2, "lr_img": 20.0, "lr_lr": 1e-3}


class KilledError(Exception):
    """The process ends here."""


def written_out(spec, inputs, images, labels, lr_teacher=0.01):
    """The loop of the paper, one graph an iteration; gives images, step size and losses."""
    experts, losses = inputs.trajectories[spec.need], []
    x, alpha = images.clone().requires_grad_(), torch.tensor(lr_teacher, requires_grad=True)
    pixels = torch.optim.SGD([x], spec.lr_img, momentum=0.5)
    sizes = torch.optim.SGD([alpha], spec.lr_lr, momentum=0.5)
    for t in range(spec.iterations):
        asked = SimpleNamespace(
            span=lambda t: (0, spec.max_start_epoch), syn_steps=spec.syn_steps, batch_syn=spec.batch_syn, dsa=spec.dsa
        )
        rng = torch.Generator().manual_seed(seed(inputs.seed, "mtt", t))
        inner = Inner.draw(rng, asked, t, spec.experts, len(x), SimpleNamespace(size=8, flip=inputs.data.flip))
        start, target = (experts.weights(inner.expert, epoch) for epoch in (inner.epoch, inner.epoch + 2))
        student = start.clone().requires_grad_()
        for rows, one in zip(inner.rows, inner.augmentations, strict=True):
            rows = slice(None) if rows is None else rows
            seen = x[rows] if one is None else dsa.apply(x[rows], one)
            loss = F.cross_entropy(experts.logits(experts.parameters(student), seen), labels[rows])
            (step,) = torch.autograd.grad(loss, student, create_graph=True)
            student = student - alpha * step
        loss = (student - target).square().sum() / (start - target).square().sum()
        pixels.zero_grad()
        sizes.zero_grad()
        loss.backward()
        pixels.step()
        sizes.step()
        losses.append(loss.item())
    return x.detach(), alpha.item(), losses


@pytest.mark.parametrize("more", [{}, {"batch_syn": 4}, {"dsa": False}])
def test_it_is_the_loop_of_the_paper(matching, toy, more):
    box, spec = toy(), MTT(**FIELDS | more)
    inputs = matching(spec, 2, seed=3, box=box)
    draft = spec(inputs)
    start = box.normalised(draft.initial)
    images, rate, losses = written_out(spec, inputs, start, torch.tensor([0, 0, 1, 1, 2, 2]))
    expected = (images * 0.25 + 0.5).numpy()
    assert np.abs(draft.images - expected).max() < 1e-3
    assert np.abs(draft.images - draft.initial / 255).max() > 0.02  # something was learnt
    assert draft.notes["step_size"] == draft.rate == pytest.approx(rate, rel=1e-4)
    assert draft.notes["loss_first"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert draft.labels.tolist() == [0, 0, 1, 1, 2, 2] and draft.soft_labels is None
    assert draft.images.dtype == np.float32 and draft.steps == 4


def test_the_loss_falls(matching):
    fields = FIELDS | {"iterations": 60, "lr_teacher": 0.1, "dsa": False}
    draft = MTT(**fields)(matching(MTT(**fields), 2))
    assert draft.notes["loss_last"] < 0.9 * draft.notes["loss_first"]


def test_it_starts_from_real_images_or_noise(matching, toy):
    box = toy()
    real = MTT(**FIELDS)(matching(MTT(**FIELDS), 2, box=box))
    for image, label in zip(real.initial, real.labels, strict=True):
        members = box.data.train.images[box.data.train.labels == label]
        assert any(np.array_equal(image, member) for member in members)
    noise = MTT(**FIELDS | {"lr_lr": 0.0}, init="noise")  # at whose start the rate would fall below 0
    assert not np.array_equal(noise(matching(noise, 2, box=box)).initial, real.initial)


def test_a_class_with_too_few_images_is_an_error(matching):
    with pytest.raises(DecoctError, match=r"class 'a' has 40 .*images"):
        MTT(**FIELDS)(matching(MTT(**FIELDS), 41))


def test_a_rate_that_no_student_can_train_at_is_an_error(matching):
    fields = FIELDS | {"init": "noise"}
    with pytest.raises(DecoctError, match=r"mtt: the learnt rate is -.* at the end: lower lr_img, lr_lr or lr_teacher"):
        MTT(**fields)(matching(MTT(**fields), 2))


def test_a_batch_that_is_short_comes_first():
    asked = SimpleNamespace(span=lambda t: (0, 2), syn_steps=4, batch_syn=4, dsa=False)
    inner = Inner.draw(torch.Generator().manual_seed(0), asked, 0, 1, 10, SimpleNamespace(size=8, flip=False))
    assert [len(rows) for rows in inner.rows] == [2, 4, 4, 2]
    assert sorted(torch.cat(inner.rows[:3]).tolist()) == list(range(10))


# Kill, resume, and numbers that are not finite


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_it_goes_on_to_the_same_bytes(matching, kept, monkeypatch, at):
    spec = MTT(**FIELDS)
    whole, calls, real = spec(matching(spec, 2)), [], trajectory_matching.matched

    def fatal(*args):
        calls.append(1)
        if len(calls) == at + 1:
            raise KilledError
        return real(*args)

    monkeypatch.setattr(trajectory_matching, "matched", fatal)
    with pytest.raises(KilledError):
        spec(matching(spec, 2, kept=kept))
    again = spec(matching(spec, 2, kept=kept))
    assert len(calls) == at + 1 + FIELDS["iterations"] - at
    assert np.array_equal(again.images, whole.images) and again.notes == whole.notes


def test_a_loss_that_is_not_finite_names_step_and_last_loss_and_keeps_the_state(matching, kept):
    spec = MTT(**FIELDS | {"lr_lr": 1e30})
    with pytest.raises(DecoctError, match=r"mtt: .*not finite at step \d of 4 \(.*\): lower lr_img, lr_lr or lr_teach"):
        spec(matching(spec, 2, kept=kept))
    assert all(np.isfinite(value).all() for value in kept.found["learning"].values())


def test_a_meta_gradient_that_is_not_finite_is_told_before_it_moves_anything(matching, kept, monkeypatch):
    spec, real, calls = MTT(**FIELDS), trajectory_matching.matched, []

    def broken(*args):
        loss, found = real(*args)
        calls.append(float(loss))
        if len(calls) == 3:
            found.learnt[0][0, 0, 0, 0] = torch.nan
        return loss, found

    monkeypatch.setattr(trajectory_matching, "matched", broken)
    with pytest.raises(DecoctError, match="the meta-gradient is not finite at step 3 of 4") as caught:
        spec(matching(spec, 2, kept=kept))
    assert f"the loss was {calls[-1]:.4g}" in str(caught.value)
    assert len(kept.found["learning"]["trace"]) == 2 and np.isfinite(kept.found["learning"]["images"]).all()


# Settings


def test_what_is_not_set_is_the_authors_by_ipc():
    def found(ipc, **fields):
        spec = MTT(**fields).for_ipc(ipc)
        return spec.syn_steps, spec.max_start_epoch, spec.lr_img, spec.lr_lr, spec.lr_teacher, spec.expert_epochs

    assert found(1) == (50, 5, 1000, 1e-7, 0.01, 2)
    assert found(10) == found(2) == (30, 15, 1000, 1e-5, 0.01, 2)
    assert found(50) == found(11) == found(200) == (30, 40, 1000, 1e-5, 0.001, 2)
    assert found(50, epochs=20)[1] == 18  # no further than the experts go
    assert found(10, syn_steps=7, lr_img=3.0)[:3] == (7, 15, 3.0)
    spec = MTT().at(32)
    assert [MTT().at(size).net for size in (8, 64, 128)] == ["convnet2", "convnet4", "convnet5"]
    assert (spec.net, spec.experts, spec.epochs, spec.dsa, spec.iterations) == ("convnet3", 100, 50, True, 5000)
    assert spec.needs() == (Trajectories(net="convnet3", epochs=50, experts=100, dsa=True),)


@pytest.mark.parametrize("fields", [{"max_start_epoch": 49}, {"epochs": 20, "max_start_epoch": 19}, {"epochs": 2}])
def test_a_start_beyond_the_experts_is_refused_when_it_is_read(fields):
    with pytest.raises(UsageError, match=r"max_start_epoch \+ expert_epochs is \d+, but the experts have \d+ epochs"):
        parse("condenser", {"name": "mtt", **fields})
    assert parse("condenser", {"name": "mtt", "max_start_epoch": 48}).max_start_epoch == 48


def test_truncating_changes_the_gradient_and_all_steps_are_the_whole(matching):
    def images(truncate):
        spec = MTT(**FIELDS, truncate=truncate)
        return spec(matching(spec, 2)).images

    assert np.array_equal(images(3), images(None)) and not np.array_equal(images(1), images(None))


def test_the_numbers_that_were_used_are_on_record(matching):
    fields = {name: value for name, value in FIELDS.items() if name not in ("max_start_epoch", "lr_lr")}
    notes = MTT(**fields)(matching(MTT(**fields), 2)).notes
    assert (notes["max_start_epoch"], notes["lr_lr"], notes["lr_teacher"]) == (2, 1e-5, 0.01)
    assert not {"lr_img", "syn_steps", "batch_syn"} & notes.keys()


def test_all_classes_are_made_together():
    assert MTT().together(10) is None and MTT.even


@pytest.mark.parametrize(("net", "size", "ipc", "steps"), [("convnet3_w32", 28, 2, 4), ("convnet3_w64", 16, 1, 15)])
def test_the_memory_estimate_is_within_a_factor_of_two(net, size, ipc, steps, peak):
    built = zoo.build(net, 1, 10, size, 0).eval().requires_grad_(False)
    start = flattened(built)
    way = Trajectory(torch.stack([start, start, 0.9 * start]).numpy(), shapes_of(built))
    inner = Inner(0, 0, (None,) * steps, (None,) * steps)
    images, labels = torch.randn(10 * ipc, 1, size, size), torch.arange(10).repeat_interleave(ipc)

    def once():
        trajectory_matching.matched(Experts(built, (way,)), inner, 2, images, labels, torch.tensor(0.01))

    once()
    most = peak(once)
    spec = MTT(net=net, syn_steps=steps, experts=1)
    assert most / 2 < spec.memory((1, size, size), 10, ipc) < 2 * most


def test_images_are_stored_in_the_data_s_scale(matching, toy):
    box = toy()
    spec = MTT(**FIELDS | {"iterations": 1, "lr_img": 1e-12})
    draft = spec(matching(spec, 1, box=box))
    assert np.allclose(draft.images, draft.initial / 255, atol=1e-6)


# Whitened data


def test_of_whitened_data_the_whitened_images_are_learnt_and_their_pixels_kept(matching, toy, monkeypatch):
    box, spec, learnt = toy(), MTT(**FIELDS), []
    box.data.whitening = Whitening.fit([box.data.train.images], box.data.shape)
    real = trajectory_matching.matched
    monkeypatch.setattr(trajectory_matching, "matched", lambda *args: (learnt.append(args[3]), real(*args))[1])
    draft = spec(matching(spec, 2, box=box))
    seen = Pixels.seen(box.data, "cpu")
    start = torch.from_numpy(draft.initial).flatten(1).double().numpy() / 255
    x = box.data.train.images.reshape(len(box.data.train.labels), -1) / 255
    variances, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    whitened = (start - x.mean(0)) @ (vectors / np.sqrt(variances + 0.1) @ vectors.T)
    images, rate, _ = written_out(
        spec,
        matching(spec, 2, box=box),
        torch.from_numpy(whitened).float().view(6, 1, 8, 8),
        torch.arange(3).repeat_interleave(2),
    )
    again = seen.whitening(torch.from_numpy(draft.images))
    assert (again - learnt[0].detach()).abs().max() < 1e-5 * learnt[0].abs().max()  # it was learnt in place
    assert (again - images).abs().max() < 1e-3 and draft.rate == pytest.approx(rate, rel=1e-4)
    assert np.abs(draft.images - draft.initial / 255).max() > 0.02
