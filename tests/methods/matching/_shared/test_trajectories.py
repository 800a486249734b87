"""The inner loop that is drawn, and the loss that is matched, against the paper's formula step by step."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from decoct.data.augment import dsa
from decoct.methods.matching._shared.trajectories import Inner, matched, step_where
from decoct.needs.trajectory import Experts, Trajectory, flattened, shapes_of
from decoct.nets.convnet import ConvNet


def drawn(seed=0, **fields):
    usual = {"experts": 3, "epochs": (1, 4), "images": 7, "steps": 5, "batch": 3, "augment": True} | fields
    numbers = {"syn_steps": usual["steps"], "batch_syn": usual["batch"], "dsa": usual["augment"]}
    spec = SimpleNamespace(span=lambda t: usual["epochs"], **numbers)
    data = SimpleNamespace(size=8, flip=False)
    return Inner.draw(Generator().manual_seed(seed), spec, 0, usual["experts"], usual["images"], data)


@pytest.fixture
def experts():
    def walk(seed):
        rng = torch.Generator().manual_seed(seed)
        net = ConvNet(1, 3, 8, 4, 2)
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(0.3 * torch.randn(p.shape, generator=rng))
        rows = [flattened(net)]
        for _ in range(6):
            rows.append(rows[-1] + 0.01 * torch.randn(len(rows[0]), generator=rng))
        return Trajectory(torch.stack(rows).numpy(), shapes_of(net))

    return Experts(ConvNet(1, 3, 8, 4, 2).eval().requires_grad_(False), (walk(0), walk(1), walk(2)))


@given(images=st.integers(1, 9), batch=st.integers(1, 10), steps=st.integers(1, 12), seed=st.integers(0, 99))
def test_a_pass_over_the_set_sees_every_image_once(images, batch, steps, seed):
    inner = drawn(seed, images=images, batch=batch, steps=steps)
    assert len(inner.rows) == len(inner.augmentations) == steps
    if batch >= images:
        assert inner.rows == (None,) * steps
        return
    a_pass = -(-images // batch)
    for first in range(0, steps - a_pass + 1, a_pass):
        seen = torch.cat(inner.rows[first : first + a_pass])
        assert sorted(seen.tolist()) == list(range(images))


def test_experts_and_epochs_are_all_drawn_and_no_others():
    many = [drawn(seed) for seed in range(200)]
    assert {inner.expert for inner in many} == {0, 1, 2}
    assert {inner.epoch for inner in many} == {1, 2, 3}
    assert {one.op for inner in many for one in inner.augmentations} == set(dsa.OPS) - {"flip"}


def test_every_image_of_a_step_has_parameters_of_its_own():
    inner = drawn(steps=40)
    for rows, one in zip(inner.rows, inner.augmentations, strict=True):
        assert len(one.values) == len(rows)
    assert any(len(one.values.unique(dim=0)) > 1 for one in inner.augmentations)
    assert drawn(augment=False).augmentations == (None,) * 5


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("batch", [3, 100])
def test_the_loss_is_the_paper_s_and_its_gradients_those_of_the_whole_graph(experts, soft, batch):
    rng = torch.Generator().manual_seed(5)
    images, rate = torch.randn(7, 1, 8, 8, generator=rng), torch.tensor(0.3)
    labels = torch.randn(7, 3, generator=rng) if soft else torch.tensor([0, 0, 1, 1, 2, 2, 2])
    inner = drawn(4, batch=batch)
    loss, found = matched(experts, inner, 2, images, labels, rate)
    x, y, alpha = (images.clone().requires_grad_(), labels.clone(), rate.clone().requires_grad_())
    y = y.requires_grad_() if soft else y
    way = experts.trajectories[inner.expert].weights
    start, target = (torch.from_numpy(way[epoch].copy()) for epoch in (inner.epoch, inner.epoch + 2))
    student = start.clone().requires_grad_()
    for rows, one in zip(inner.rows, inner.augmentations, strict=True):
        rows = torch.arange(7) if rows is None else rows
        logits = experts.logits(experts.parameters(student), dsa.apply(x[rows], one))
        if soft:
            value = -(y[rows].softmax(1) * F.log_softmax(logits, 1)).sum(1).mean()
        else:
            value = F.cross_entropy(logits, y[rows])
        (step,) = torch.autograd.grad(value, student, create_graph=True)
        student = student - alpha * step
    expected = (student - target).square().sum() / (start - target).square().sum()
    assert torch.allclose(loss, expected, rtol=1e-5)
    leaves = [x, y, alpha] if soft else [x, alpha]
    for ours, theirs in zip((*found.learnt, found.rate), torch.autograd.grad(expected, leaves), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()))


def test_a_student_that_arrives_has_no_loss_and_no_gradient(experts):
    """An expert that takes the student's own steps."""
    images, labels, rate = torch.randn(6, 1, 8, 8), torch.arange(6) % 3, torch.tensor(0.1)
    inner = drawn(steps=1, images=6, batch=6, augment=False, experts=1, epochs=(0, 1))
    start = experts.weights(0, 0)
    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(experts.logits(experts.parameters(leaf), images), labels), leaf)
    way = Trajectory(torch.stack([start, start - rate * gradient]).numpy(), experts.shapes)
    loss, found = matched(Experts(experts.net, (way,)), inner, 1, images, labels, rate)
    assert loss < 1e-10
    assert found.learnt[0].abs().max() < 1e-3 * start.norm() and found.rate.abs() < 1e-3


@given(st.lists(st.booleans(), max_size=6), st.sampled_from([0.0, 0.5]))
def test_steps_that_are_not_taken_might_as_well_not_have_been(taken, momentum):
    """Parameters after any pattern of steps are those of plain SGD that saw only the steps that were taken."""
    ours, theirs = (torch.ones(3, requires_grad=True) for _ in range(2))
    masked, plain = (torch.optim.SGD([p], 0.1, momentum=momentum) for p in (ours, theirs))
    for number, take in enumerate(taken):
        ours.grad = torch.tensor([1.0, -2.0, torch.inf]) if not take else torch.full((3,), number + 1.0)
        step_where(masked, torch.tensor(take))
        if take:
            theirs.grad = ours.grad.clone()
            plain.step()
        assert torch.equal(ours, theirs)
