"""DATM against the paper's loop; what it starts from; the bound of its start epochs; labels that travel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError, UsageError
from decoct.core.seeds import seed
from decoct.core.spec import parse
from decoct.data.augment import dsa
from decoct.methods.matching import datm
from decoct.methods.matching._shared import trajectories as trajectory_matching
from decoct.methods.matching._shared.trajectories import Inner
from decoct.methods.matching.datm import DATM
from decoct.methods.matching.mtt import MTT
from decoct.needs.trajectory import Trajectories

NET = {"net": "convnet1_w8", "experts": 3, "epochs": 5}
FIELDS = NET | {"iterations": 4, "syn_steps": 3, "first_max_start_epoch": 2, "max_start_epoch": 3, "growth": 2}
FIELDS |= {"lr_img": 20.0, "lr_lr": 1e-3, "lr_y": 5.0, "threshold": 10.0}


class KilledError(Exception):
    """The process ends here."""


def logits_of(experts, expert, images, box):
    with torch.no_grad():
        return experts.logits(experts.parameters(experts.weights(expert, NET["epochs"])), box.normalised(images))


def first_logits(experts, images, labels, box):
    """Mean logits of the experts that are right, image by image."""
    said = [logits_of(experts, expert, images, box) for expert in range(len(experts))]
    rows = []
    for i, label in enumerate(labels):
        right = [z[i] for z in said if z[i].argmax() == label] or [z[i] for z in said]
        rows.append(torch.stack(right).mean(0))
    return torch.stack(rows)


def test_it_is_the_loop_of_the_paper(matching, toy):
    box, spec = toy(), DATM(**FIELDS)
    inputs = matching(spec, 2, seed=3, box=box)
    draft, experts = spec(inputs), inputs.trajectories[spec.need]
    x = box.normalised(draft.initial).requires_grad_()
    y = first_logits(experts, draft.initial, draft.labels, box).requires_grad_()
    alpha = torch.tensor(0.01, requires_grad=True)
    steps = [torch.optim.SGD([x], 20.0, momentum=0.5), torch.optim.SGD([alpha], 1e-3, momentum=0.5)]
    steps.append(torch.optim.SGD([y], 5.0, momentum=0.9))
    for t, bound in enumerate([2, 2, 3, 3]):  # 2 + ⌊(3 − 2) t / 2⌋, at most 3
        asked = SimpleNamespace(span=lambda t, bound=bound: (0, bound), syn_steps=3, batch_syn=6, dsa=True)
        rng = torch.Generator().manual_seed(seed(3, "datm", t))
        inner = Inner.draw(rng, asked, t, 3, 6, SimpleNamespace(size=8, flip=False))
        start, target = (experts.weights(inner.expert, epoch) for epoch in (inner.epoch, inner.epoch + 2))
        student = start.clone().requires_grad_()
        for one in inner.augmentations:
            logits = experts.logits(experts.parameters(student), dsa.apply(x, one))
            loss = -(y.softmax(1) * F.log_softmax(logits, 1)).sum() / 6
            (step,) = torch.autograd.grad(loss, student, create_graph=True)
            student = student - alpha * step
        loss = (student - target).square().sum() / (start - target).square().sum()
        for optimiser in steps:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in steps:
            optimiser.step()
    assert np.abs(draft.images - (x.detach() * 0.25 + 0.5).numpy()).max() < 1e-3
    assert np.abs(draft.soft_labels - y.detach().softmax(1).numpy()).max() < 1e-4
    assert draft.notes["step_size"] == draft.rate == pytest.approx(alpha.item(), rel=1e-4)
    first = first_logits(experts, draft.initial, draft.labels, box).softmax(1).numpy()
    assert np.abs(draft.soft_labels - first).max() > 1e-3  # the labels moved


def test_soft_labels_are_probabilities_of_every_image(matching):
    draft = DATM(**FIELDS)(matching(DATM(**FIELDS), 2))
    assert draft.soft_labels.shape == (6, 3) and draft.soft_labels.dtype == np.float32
    assert draft.soft_labels.sum(1) == pytest.approx(np.ones(6), abs=1e-5) and (draft.soft_labels > 0).all()
    assert draft.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_it_starts_from_images_that_the_first_expert_is_right_about(matching, toy):
    box = toy()
    spec = DATM(**FIELDS)
    inputs = matching(spec, 3, box=box)
    experts, draft = inputs.trajectories[spec.need], spec(inputs)
    said = logits_of(experts, 0, draft.initial, box).argmax(1).numpy()
    assert np.array_equal(said, draft.labels)
    assert len(np.unique(draft.initial.reshape(9, -1), axis=0)) == 9


def scripted(monkeypatch, matching, toy, right, likely, ipc, block=256):
    """Ranks in the random order that are picked of class 0, whose experts are right about ``right`` [expert][rank]."""
    monkeypatch.setattr(datm, "BLOCK", block)
    box = toy(per_class=len(right[0]))
    inputs, seen = matching(DATM(**FIELDS), ipc, box=box), []
    order = datm.random_rows(inputs, "datm", 0, len(right[0])).tolist()

    def says(expert, rows):
        ranks = [order.index(row) for row in rows.tolist()]
        seen.append((expert, ranks))
        z = torch.zeros(len(rows), 3)
        for i, rank in enumerate(ranks):
            z[i, 0] = likely[expert][rank]
            z[i, 1] = z[i, 0] + (-1 if right[expert][rank] else 1)
        return z

    rows = DATM(**FIELDS)._right(inputs, says, len(right), 0, ipc)
    return [order.index(row) for row in rows.tolist()], seen


FLAT = [[0.0] * 6] * 3


def test_the_first_that_are_right_are_taken_and_no_more_is_looked_at(monkeypatch, matching, toy):
    right = [[0, 1, 1, 0, 1, 1]]
    picked, seen = scripted(monkeypatch, matching, toy, right, FLAT, 2, block=3)
    assert picked == [1, 2] and seen == [(0, [0, 1, 2])]
    assert scripted(monkeypatch, matching, toy, right, FLAT, 3, block=3)[0] == [1, 2, 4]


def test_the_next_expert_fills_up_and_takes_none_twice(monkeypatch, matching, toy):
    right = [[0, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 1, 1]]
    assert scripted(monkeypatch, matching, toy, right, FLAT, 3)[0] == [2, 0, 5]
    assert scripted(monkeypatch, matching, toy, right, FLAT, 5)[0] == [2, 0, 5, 1, 3]


def test_where_all_experts_find_too_few_the_likeliest_fill_up(monkeypatch, matching, toy):
    right = [[0, 0, 1, 0, 0, 0]] * 2
    likely = [[0, 3, 9, 1, 0, 2], [0, 3, 9, 0, 5, 2]]
    z = np.array(likely, dtype=float)
    # with logits z of the class, z + 1 of another and 0 of the third
    p = (np.exp(z) / (np.exp(z) + np.exp(z + 1) + 1)).mean(0)
    p[2] = -1
    expected = np.argsort(-p, kind="stable")[:2].tolist()
    assert scripted(monkeypatch, matching, toy, right, likely, 3)[0] == [2, *expected]


def test_a_logit_is_the_mean_over_experts_that_are_right(matching, toy):
    box, spec = toy(), DATM(**FIELDS)
    inputs = matching(spec, 4, box=box)
    experts = inputs.trajectories[spec.need]
    made, labels = spec.for_ipc(4).start(inputs, experts, 4)
    expected = first_logits(experts, made.initial, made.labels, box)
    assert torch.allclose(labels, expected, atol=1e-5) and labels.requires_grad and labels.is_leaf
    wrong = logits_of(experts, 1, made.initial, box).argmax(1) != made.labels
    assert wrong.any()  # else the mean over all would do


def test_from_random_images_the_logits_are_the_first_experts(matching, toy):
    box, spec = toy(), DATM(**FIELDS, init="real")
    inputs = matching(spec, 4, box=box)
    experts = inputs.trajectories[spec.need]
    made, labels = spec.for_ipc(4).start(inputs, experts, 4)
    assert torch.allclose(labels, logits_of(experts, 0, made.initial, box), atol=1e-5)
    expected = [box.data.train.images[datm.random_rows(inputs, "datm", c, 4)] for c in range(3)]
    assert np.array_equal(made.initial, np.concatenate(expected))
    assert (labels.argmax(1) != made.labels).any()  # which nobody asked to be right


def test_the_threshold_is_the_largest_loss_that_moves_anything():
    spec = DATM(threshold=0.5)
    assert spec.takes(torch.tensor(0.5))
    assert not spec.takes(torch.tensor(0.5).nextafter(torch.tensor(1.0)))


def test_a_loss_above_the_threshold_moves_nothing(matching, toy):
    box = toy()
    spec = DATM(**FIELDS | {"threshold": 1e-9})
    inputs = matching(spec, 2, box=box)
    draft = spec(inputs)
    assert np.allclose(draft.images, draft.initial / 255, atol=1e-6)
    first = first_logits(inputs.trajectories[spec.need], draft.initial, draft.labels, box)
    assert np.allclose(draft.soft_labels, first.softmax(1).numpy(), atol=1e-6)
    assert draft.notes["loss_first"] > 1e-9 and draft.notes["step_size"] == pytest.approx(0.01)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_it_goes_on_to_the_same_bytes(matching, kept, monkeypatch, at):
    spec = DATM(**FIELDS)
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
    assert np.array_equal(again.images, whole.images) and np.array_equal(again.soft_labels, whole.soft_labels)
    assert len(calls) == FIELDS["iterations"] + 1


# Settings


@given(first=st.integers(1, 9), more=st.integers(0, 9), low=st.integers(0, 8), growth=st.integers(1, 50))
def test_the_bound_grows_from_the_first_to_the_last(first, more, low, growth):
    low = min(low, first - 1)
    spec = DATM(min_start_epoch=low, first_max_start_epoch=first, max_start_epoch=first + more, growth=growth)
    spans = [spec.for_ipc(10).span(t) for t in range(2 * growth)]
    assert spans[0] == (low, first) and spans[growth] == spans[-1] == (low, first + more)
    bounds = [bound for _, bound in spans]
    assert bounds == sorted(bounds) and all(low < bound <= first + more for bound in bounds)
    assert bounds == [min(first + more, first + int(more * t / growth)) for t in range(2 * growth)]


def test_what_is_not_set_is_the_authors_by_ipc():
    def found(ipc, **fields):
        spec = DATM(**fields).for_ipc(ipc)
        spans = spec.min_start_epoch, spec.first_max_start_epoch, spec.max_start_epoch, spec.growth
        return *spans, spec.syn_steps, spec.lr_img, spec.lr_y, spec.lr_lr, spec.threshold

    assert found(1) == (0, 4, 4, 1, 80, 100, 5.0, 1e-7, 1.1)
    assert found(10) == (0, 10, 20, 1000, 80, 100, 2.0, 1e-5, 1.0)
    assert found(50) == (0, 20, 40, 2000, 80, 1000, 2.0, 1e-5, 1.0)
    assert found(500) == (40, 60, 60, 1, 40, 50, 10.0, 1e-5, 1.0)
    assert found(1000) == found(2000) == (40, 60, 60, 1, 100, 50, 10.0, 1e-5, 1.0)  # the bound does not grow
    assert [DATM().for_ipc(ipc).batch_syn for ipc in (1, 10, 50, 500, 1000)] == [None, None, None, 1000, 1000]
    assert {DATM().for_ipc(1000).span(t) for t in (0, 1, 9999)} == {(40, 60)}
    assert found(500, epochs=50)[:3] == (40, 48, 48)  # no further than the experts go
    assert found(500, epochs=20)[:3] == (17, 18, 18)
    spec = DATM()
    assert (spec.iterations, spec.momentum, spec.momentum_y, spec.expert_epochs) == (10000, 0.5, 0.9, 2)
    assert spec.at(32).needs() == (Trajectories(net="convnet3", epochs=100, experts=100),)
    assert MTT().at(32).needs() == (Trajectories(net="convnet3", epochs=50, experts=100),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_start_epoch": 99}, r"max_start_epoch \+ expert_epochs is 101, but the experts have 100 epochs"),
        ({"min_start_epoch": 4, "max_start_epoch": 4}, "min_start_epoch 4 leaves no epoch to start from below 4"),
        ({"min_start_epoch": 4, "first_max_start_epoch": 3}, "min_start_epoch 4 leaves no epoch to start from below 3"),
        ({"min_start_epoch": 98}, "min_start_epoch 98 leaves no epoch to start from below 98"),
        ({"first_max_start_epoch": 9, "max_start_epoch": 4}, "first_max_start_epoch 9 is above max_start_epoch 4"),
    ],
)
def test_start_epochs_that_do_not_go_together_are_refused_when_they_are_read(fields, message):
    with pytest.raises(UsageError, match=message):
        parse("condenser", {"name": "datm", **fields})


@pytest.mark.parametrize("fields", [{"min_start_epoch": 10}, {"first_max_start_epoch": 6}])
def test_start_epochs_that_do_not_go_with_the_authors_are_refused(fields):
    assert DATM(**fields).for_ipc(50)
    with pytest.raises(UsageError, match="does not go with the bounds 4 and 4 of the start epoch at IPC 1: set first_"):
        DATM(**fields).for_ipc(1)


def test_a_class_with_too_few_images_is_an_error(matching):
    with pytest.raises(DecoctError, match=r"class 'a' has 40 .*images"):
        DATM(**FIELDS)(matching(DATM(**FIELDS), 41))
