"""The gradient through descent: plain autograd, finite differences, a closed form; and its memory does not grow."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call
from torch.profiler import ProfilerActivity, profile

from decoct.methods.matching._shared.trajectories import descend, pull_back
from decoct.nets.convnet import ConvNet


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Linear:
    """Softmax regression on rows that differ from step to step, with soft labels that are learnt too."""

    def __init__(self, features, classes, images):
        self.features, self.classes, self.images = features, classes, images

    def split(self, flat):
        weight, bias = flat.split([self.features * self.classes, self.classes])
        return {"weight": weight.view(self.classes, self.features), "bias": bias}

    def loss(self, n, parameters, learnt):
        rows = torch.arange(n, n + 3) % self.images
        x, y = (each[rows] for each in learnt)
        logits = nn.functional.linear(x, parameters["weight"], parameters["bias"])
        return nn.functional.cross_entropy(logits, y.softmax(1))

    def draws(self, seed):
        p = (self.features + 1) * self.classes
        learnt = drawn(self.images, self.features, seed=seed), drawn(self.images, self.classes, seed=seed + 1)
        return drawn(p, seed=seed + 2), drawn(p, seed=seed + 3), learnt

    def value(self, start, rate, learnt, target, steps):
        return (descend(self.loss, self.split, start, rate, learnt, steps)[-1] - target).square().sum()


class Small:
    """A ConvNet on images and soft labels that are learnt."""

    def __init__(self, norm="instance", size=8, width=4):
        with torch.random.fork_rng([]):
            torch.random.default_generator.manual_seed(0)
            self.net = ConvNet(1, 3, size, width, 2, norm).double()
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
        self.sizes = [p.numel() for p in self.net.parameters()]

    def start(self):
        return torch.cat([p.detach().flatten() for p in self.net.parameters()])

    def split(self, flat):
        shapes = [(name, p.shape) for name, p in self.net.named_parameters()]
        return {name: part.view(shape) for (name, shape), part in zip(shapes, flat.split(self.sizes), strict=True)}

    def loss(self, n, parameters, learnt):
        x, y = learnt
        seen = torch.roll(x, n, 3)
        return nn.functional.cross_entropy(functional_call(self.net, parameters, (seen,)), y.softmax(1))


def whole_graph(task, start, rate, learnt, target, steps, truncate=None):
    """Value and gradients by one backward pass through the graph of all steps."""
    leaves = [each.detach().clone().requires_grad_() for each in (start, rate, *learnt)]
    flat, alpha, *seen = leaves
    first = 0 if truncate is None else steps - truncate
    for n in range(steps):
        if n == first and n > 0:
            flat = leaves[0] = flat.detach().requires_grad_()
        (step,) = torch.autograd.grad(task.loss(n, task.split(flat), seen), flat, create_graph=True)
        flat = flat - alpha * step
        if n < first:
            flat = flat.detach().requires_grad_()
    value = (flat - target).square().sum()
    return value, torch.autograd.grad(value, leaves)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("truncate", [None, 1, 3, 9])
def test_it_is_the_gradient_of_the_whole_graph(norm, truncate):
    task, rate = Small(norm), torch.tensor(0.1, dtype=torch.float64)
    learnt, start = (drawn(6, 1, 8, 8), drawn(6, 3, seed=1)), task.start()
    target = start + 0.01 * drawn(len(start), seed=2)
    path = descend(task.loss, task.split, start, rate, learnt, 4)
    found = pull_back(task.loss, task.split, path, rate, learnt, 2 * (path[-1] - target), truncate)
    value, expected = whole_graph(task, start, rate, learnt, target, 4, truncate if truncate != 9 else None)
    assert torch.allclose((path[-1] - target).square().sum(), value)
    for ours, theirs in zip((found.start, found.rate, *found.learnt), expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)
        assert not ours.requires_grad


@settings(deadline=None, max_examples=20)
@given(steps=st.integers(1, 4), features=st.integers(1, 3), classes=st.integers(2, 3), seed=st.integers(0, 10**6))
def test_it_is_the_finite_difference_of_a_linear_student(steps, features, classes, seed):
    task, rate, step = Linear(features, classes, 4), torch.tensor(0.3, dtype=torch.float64), 1e-6
    start, target, learnt = task.draws(seed)
    path = descend(task.loss, task.split, start, rate, learnt, steps)
    found = pull_back(task.loss, task.split, path, rate, learnt, 2 * (path[-1] - target))
    given_ = [start, rate, *learnt]
    for place, ours in enumerate((found.start, found.rate, *found.learnt)):
        for entry in range(given_[place].numel()):
            values = []
            for sign in (1, -1):
                moved = [each.clone() for each in given_]
                moved[place].view(-1)[entry] += sign * step
                values.append(task.value(moved[0], moved[1], moved[2:], target, steps))
            numeric = (values[0] - values[1]) / (2 * step)
            assert ours.reshape(-1)[entry].item() == pytest.approx(numeric.item(), rel=1e-5, abs=1e-7)


@given(steps=st.integers(1, 6), rate=st.floats(0.01, 0.9))
def test_it_is_the_closed_form_of_a_quadratic(steps, rate):
    """L = ½‖θ − u‖² gives θ_N = (1 − α)^N θ_0 + (1 − (1 − α)^N) u."""
    start, u, end = drawn(3), drawn(3, seed=1), drawn(3, seed=2)
    alpha, left = torch.tensor(rate, dtype=torch.float64), (1 - rate) ** steps

    def loss(n, parameters, learnt):
        return (parameters["all"] - learnt[0]).square().sum() / 2

    path = descend(loss, lambda flat: {"all": flat}, start, alpha, [u], steps)
    found = pull_back(loss, lambda flat: {"all": flat}, path, alpha, [u], end)
    assert torch.allclose(path[-1], left * start + (1 - left) * u)
    assert torch.allclose(found.learnt[0], (1 - left) * end)
    assert torch.allclose(found.start, left * end)
    assert torch.allclose(found.rate, steps * (1 - rate) ** (steps - 1) * (u - start) @ end)


def test_the_way_is_that_of_sgd():
    task, rate = Small(), torch.tensor(0.2, dtype=torch.float64)
    learnt, start = (drawn(6, 1, 8, 8), drawn(6, 3, seed=1)), task.start()
    path = descend(task.loss, task.split, start, rate, learnt, 5)
    sgd = torch.optim.SGD(task.net.parameters(), 0.2)
    for n in range(6):
        assert torch.allclose(path[n], task.start())
        sgd.zero_grad()
        task.loss(n, dict(task.net.named_parameters()), learnt).backward()
        sgd.step()


def test_what_the_loss_does_not_hang_on_has_no_gradient():
    task, rate = Linear(2, 2, 3), torch.tensor(0.3, dtype=torch.float64)
    start, idle, learnt = task.draws(0)
    three = [*learnt, idle]

    def loss(n, parameters, learnt):
        return task.loss(n, parameters, learnt[:2])

    path = descend(loss, task.split, start, rate, three, 2)
    found = pull_back(loss, task.split, path, rate, three, path[-1])
    assert torch.equal(found.learnt[2], torch.zeros_like(idle)) and found.learnt[0].any()


def test_memory_grows_by_the_weights_of_a_step_and_no_more():
    """The peak of all that the allocator handed out, for 3 and for 30 steps, as torch's profiler records it."""
    task, rate = Small(size=16, width=8), torch.tensor(0.1, dtype=torch.float64)
    learnt, start = (drawn(8, 1, 16, 16), drawn(8, 3, seed=1)), task.start()

    def peak(steps):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            path = descend(task.loss, task.split, start, rate, learnt, steps)
            pull_back(task.loss, task.split, path, rate, learnt, path[-1])
        events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
        return max(itertools.accumulate(e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())))

    peak(2)  # what is allocated once and stays
    few, many, weights = peak(3), peak(30), start.nbytes
    assert few > 10 * weights  # the graph of a step is far more than its weights
    assert many - few <= 27 * weights + 4096
