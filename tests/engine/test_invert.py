"""The recovery loop against naive rewrites, finite differences and the formulas' end points."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.errors import DecoctError
from decoct.engine import invert as module
from decoct.engine.alignment import Alignment
from decoct.engine.invert import EVERY, Resume, Views, cosine, curriculum, recover
from decoct.engine.moments import running


def three_layers(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        nn.BatchNorm2d(5),
        nn.ReLU(inplace=True),
        nn.Conv2d(5, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 4, 1),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(36, 3),
    )
    for norm in (m for m in net if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    return net.to(dtype).eval()


def images_of(groups, b, dtype=torch.float32, seed=1):
    return torch.randn(groups, b, 2, 8, 8, generator=Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def identity(images, t):
    return images.flatten(0, 1)


def test_gradients_against_finite_differences():
    net, labels = three_layers(dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    generators = [Generator().manual_seed(i) for i in range(2)]
    views = Views.draw(generators, 1, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")

    def objective(images):
        with Alignment(net, 2, running(net)) as alignment:
            ce = F.cross_entropy(net(views(images, 0)), labels)
            return ce + 0.1 * alignment.loss().sum()

    images = images_of(2, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(objective, images, eps=1e-6, atol=1e-5)


def test_step_sizes_start_at_lr_and_end_at_zero():
    assert cosine(0.25, 0, 1000) == 0.25
    assert cosine(0.25, 500, 1000) == pytest.approx(0.125)
    assert cosine(0.25, 1000, 1000) == 0
    assert cosine(0.25, 999, 1000) == pytest.approx(0.25 * (np.pi / 1000) ** 2 / 4, rel=1e-5)


@given(size=st.integers(2, 20), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_view_is_torchvisions_crop_then_flip_then_roll_of_the_whole_group(size, seed):
    generators = [Generator().manual_seed(seed), Generator().manual_seed(seed + 1)]
    views = Views.draw(generators, 3, size, scale=(0.08, 1), flip=True, jitter=4, device="cpu")
    images = torch.rand(2, 3, 2, size, size, generator=Generator().manual_seed(0))
    seen = views(images, 2)
    for g in range(2):
        expected = tv.resized_crop(images[g], *views.boxes[2, g].tolist(), [size, size], antialias=True)
        expected = expected.flip(-1) if views.mirrored[2, g] else expected
        expected = torch.roll(expected, tuple(views.rolls[2, g].tolist()), (-2, -1))
        torch.testing.assert_close(seen[3 * g : 3 * g + 3], expected, rtol=1e-4, atol=1e-5)


def test_rolls_include_both_ends_and_flips_come_only_where_allowed():
    def draw(**rest):
        return Views.draw([Generator().manual_seed(0)], 400, 8, scale=(0.5, 1), device="cpu", **rest)

    views = draw(flip=True, jitter=4)
    assert [views.rolls[..., axis].unique().tolist() for axis in (0, 1)] == [[0, 1, 2, 3, 4]] * 2
    assert 120 < views.mirrored.sum() < 280
    assert not draw(flip=False, jitter=4).mirrored.any()
    assert not draw(flip=False, jitter=0).rolls.any()
    area = views.boxes[..., 2] * views.boxes[..., 3] / 64
    assert area.min() >= 0.4 and area.max() <= 1  # integer sides blur the scale


def test_the_least_share_may_change_with_the_iteration():
    low = torch.cat([torch.full((200,), 1.0), torch.full((200,), 0.3)])
    generators = [Generator().manual_seed(g) for g in range(2)]
    views = Views.draw(generators, 400, 32, scale=(0.08, 1.0), flip=False, jitter=0, device="cpu", low=low)
    area = (views.boxes[..., 2] * views.boxes[..., 3] / 32**2).float()
    assert (views.boxes[:200] == torch.tensor([0, 0, 32, 32])).all()
    assert 0.25 < area[200:].min() < 0.35 and area[200:].max() > 0.8
    images = torch.rand(2, 1, 1, 32, 32, generator=Generator().manual_seed(0))
    torch.testing.assert_close(views(images, 0), images.flatten(0, 1))


def test_a_least_share_that_stays_is_that_of_the_scale():
    def draw(**rest):
        return Views.draw([Generator().manual_seed(3)], 300, 64, flip=True, jitter=4, device="cpu", **rest)

    one, other = draw(scale=(0.25, 1.0)), draw(scale=(0.08, 1.0), low=torch.full((300,), 0.25))
    assert torch.equal(one.mirrored, other.mirrored) and torch.equal(one.rolls, other.rolls)
    assert (one.boxes == other.boxes).float().mean() > 0.99  # rounding of an area may move a side by a pixel


def test_the_curriculum_goes_from_the_whole_image_to_the_least_share():
    t = torch.arange(0, 1001)
    shares = curriculum(t, 0.08, 800.0)
    assert shares[0] == 1 and (shares[800:] == torch.tensor(0.08)).all()
    assert shares[400].item() == pytest.approx((1 + 0.08) / 2)
    assert shares[200].item() == pytest.approx(0.08 + 0.92 * (1 + np.cos(np.pi / 4)) / 2)
    assert shares[799].item() == pytest.approx(0.08, abs=1e-4) and (shares.diff() <= 0).all()


def test_a_curriculum_over_all_iterations_ends_just_above_the_least_share():
    shares = curriculum(torch.arange(100), 0.2, 100)
    assert shares[0] == 1 and shares[99].item() == pytest.approx(0.2 + 0.8 * (1 - np.cos(np.pi / 100)) / 2, rel=1e-4)
    assert torch.equal(shares[40:], curriculum(torch.arange(40, 100), 0.2, 100))  # stages are parts of one whole


def naive_recover(start, loss, lr, iterations, low, high, first=0, last=None):
    images = start.clone().requires_grad_()
    slow, square = torch.zeros_like(start), torch.zeros_like(start)
    for t in range(first, last or iterations):
        (gradient,) = torch.autograd.grad(loss(images), images)
        slow, square = 0.5 * slow + 0.5 * gradient, 0.9 * square + 0.1 * gradient**2
        corrected = (square / (1 - 0.9 ** (t - first + 1))).sqrt() + 1e-8
        step = lr * (1 + np.cos(np.pi * t / iterations)) / 2 * slow / (1 - 0.5 ** (t - first + 1)) / corrected
        images = (images - step).detach().maximum(low).minimum(high).requires_grad_()
    return images.detach()


def test_recovery_is_adam_on_pixels_and_returns_the_clamped_last_iterate():
    target, start = images_of(1, 3, torch.float64, seed=2), images_of(1, 3, torch.float64, seed=3)
    low, high = torch.tensor([-1.0, -0.5]).view(2, 1, 1).double(), torch.tensor([0.7, 1.0]).view(2, 1, 1).double()

    def loss(images):
        return ((images - target) ** 2).sum() + 3 * images.abs().sum()

    def terms(seen, t):
        return {
            "far": ((seen - target[0]) ** 2).sum()[None],
            "large": seen.abs().sum()[None],
        }

    before, calls = start.clone(), []
    weights = {"far": 1.0, "large": 3.0}
    last, trace = recover(
        start, terms, weights, identity, lr=0.3, iterations=25, low=low, high=high, progress=lambda *a: calls.append(a)
    )
    assert torch.equal(start, before)
    torch.testing.assert_close(last, naive_recover(start, loss, 0.3, 25, low, high))
    assert (last >= low).all() and (last <= high).all() and (last == low).any() and (last == high).any()
    assert trace["far"].shape == (25,)
    assert trace["far"][0].item() == pytest.approx(((start - target) ** 2).sum().item(), rel=1e-6)
    assert calls == [(10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize(("pause", "told"), [(-1.0, range(1, 13)), (1e9, (10, 12))], ids=["slow", "quick"])
def test_slow_iterations_are_told_one_by_one(monkeypatch, pause, told):
    monkeypatch.setattr(module, "PAUSE", pause)
    seen = []
    how = {"lr": 0.1, "iterations": 12, "low": -EDGE, "high": EDGE, "progress": lambda *done: seen.append(done)}
    recover(images_of(1, 1), lambda x, t: {"x": x.square().sum()[None]}, {"x": 1.0}, identity, **how)
    assert seen == [(t, 12) for t in told]


@pytest.mark.parametrize(("pause", "told"), [(-1.0, [3, 6, 9, 12, 13]), (1e9, [12, 13])], ids=["slow", "quick"])
def test_iterations_that_differ_in_turn_are_told_by_the_turn(monkeypatch, pause, told):
    monkeypatch.setattr(module, "PAUSE", pause)
    seen, kept = [], []

    class Noted(Resume):
        def save(self, state, finished):
            kept.append(int(state()["done"]))

    how = {"lr": 0.1, "iterations": 13, "low": -EDGE, "high": EDGE, "progress": lambda done, _: seen.append(done)}
    recover(
        images_of(1, 1),
        lambda x, t: {"ce": x.square().sum()[None]},
        {"ce": 1.0},
        identity,
        **how,
        turn=3,
        resume=Noted(),
    )
    assert seen == told and kept == [10, 13]  # a state is kept as ever


def test_groups_together_are_groups_alone():
    net, start, labels = three_layers(), images_of(3, 4), torch.tensor([0, 1, 2, 0])

    def run(groups):
        generators = [Generator().manual_seed(g) for g in groups]
        views = Views.draw(generators, 12, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")
        with Alignment(net, len(groups), running(net)) as alignment:

            def terms(seen, t):
                ce = F.cross_entropy(net(seen), labels.repeat(len(groups)), reduction="none")
                return {"ce": ce.unflatten(0, (len(groups), 4)).mean(1), "bn": alignment.loss()}

            weights, edge = {"ce": 1.0, "bn": 0.01}, torch.tensor(2.0)
            return recover(start[groups], terms, weights, views, lr=0.1, iterations=12, low=-edge, high=edge)

    together, trace = run([0, 1, 2])
    alone = [run([g]) for g in range(3)]
    torch.testing.assert_close(together, torch.cat([images for images, _ in alone]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(trace["bn"], torch.stack([t["bn"] for _, t in alone]).mean(0), rtol=1e-4, atol=1e-4)


# Stages, and what a kill leaves

EDGE = torch.tensor(2.0)


class KilledError(Exception):
    """Nobody catches it."""


class Memory(Resume):
    """Keeps copies; of the states that are not a stage's last, every ``every``-th."""

    def __init__(self, every=1):
        self.every, self.asked, self.kept = every, 0, None

    def load(self):
        return None if self.kept is None else {name: value.clone() for name, value in self.kept.items()}

    def save(self, state, finished):
        self.asked += 1
        if finished or self.asked % self.every == 0:
            self.kept = {name: value.clone() for name, value in state().items()}


class Problem:
    """Terms that change with the iteration, on views of their own for every iteration; may be killed or spoiled."""

    def __init__(self, killed_at=None, nan_at=None):
        self.killed_at, self.nan_at, self.seen = killed_at, nan_at, []
        self.net, self.labels = three_layers(), torch.tensor([0, 1, 2, 0])
        self.start = images_of(2, 2)

    def views(self, first, last):
        generators = [Generator().manual_seed(10 * first + g) for g in range(2)]
        return Views.draw(generators, last - first, 8, scale=(0.5, 1), flip=True, jitter=2, device="cpu")

    def terms(self, seen, t):
        if t == self.killed_at:
            raise KilledError
        self.seen.append(t)
        ce = F.cross_entropy(self.net(seen), self.labels, reduction="none").unflatten(0, (2, 2)).mean(1)
        far = seen.square().flatten(1).mean(1).unflatten(0, (2, 2)).mean(1) * (1 + t % 3)
        return {"ce": ce * (float("nan") if t == self.nan_at else 1), "far": far} if t % 2 else {"ce": ce}

    def stage(self, start, first, last, resume=None, total=36, **rest):
        weights, views = {"ce": 1.0, "far": 0.3}, self.views(first, last)
        options = {"lr": 0.2, "iterations": total, "low": -EDGE, "high": EDGE, "first": first, "last": last} | rest
        return recover(start, self.terms, weights, views, resume=resume, **options)

    def whole(self, memories, cuts=(0, 7, 24)):
        """All stages, and their traces."""
        images, traces = self.start, []
        for memory, (first, last) in zip(memories, pairwise(cuts), strict=True):
            images, trace = self.stage(images, first, last, memory)
            traces.append(trace)
        return images, traces


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_stages_start_adam_anew_along_one_cosine():
    target, start = images_of(1, 3, torch.float64, seed=2), images_of(1, 3, torch.float64, seed=3)
    edge, cuts = torch.tensor(0.9).double(), (0, 4, 15, 20)

    def terms(seen, t):
        return {"far": ((seen - target[0]) ** 2).sum()[None]}

    ours = theirs = start
    for first, last in pairwise(cuts):
        ours, trace = recover(
            ours, terms, {"far": 1.0}, identity, lr=0.3, iterations=20, low=-edge, high=edge, first=first, last=last
        )
        assert trace["far"].shape == (last - first,)
        assert trace["far"][0].item() == pytest.approx(((theirs - target) ** 2).sum().item(), rel=1e-6)
        naive = {"first": first, "last": last}
        theirs = naive_recover(theirs, lambda x: ((x - target) ** 2).sum(), 0.3, 20, -edge, edge, **naive)
    torch.testing.assert_close(ours, theirs)


def test_terms_and_views_get_the_iteration_of_all_and_of_the_stage():
    seen = []

    def views(images, t):
        seen.append(("view", t))
        return images.flatten(0, 1)

    def terms(x, t):
        seen.append(("terms", t))
        return {"x": x.sum()[None]}

    calls = []
    recover(
        *(images_of(1, 1), terms, {"x": 1.0}, views),
        **{"lr": 0.1, "iterations": 30, "low": -EDGE, "high": EDGE, "first": 9, "last": 12},
        progress=lambda *done: calls.append(done),
    )
    assert seen == [(what, t) for i in range(3) for what, t in (("view", i), ("terms", 9 + i))]
    assert calls == [(10, 30), (12, 30)]


def test_a_term_that_is_not_given_counts_as_zero():
    start = images_of(1, 1)

    def run(*names):
        def terms(seen, t):
            given = {"a": seen.square().sum()[None], "b": 0 * seen.sum()[None]}
            return {name: given[name] for name in names}

        return recover(start, terms, {"a": 2.0, "b": 7.0}, identity, lr=0.1, iterations=5, low=-EDGE, high=EDGE)

    (one, trace), (other, _) = run("a"), run("a", "b")
    assert torch.equal(one, other) and not torch.equal(one, start)
    assert trace["b"].tolist() == [0] * 5


@pytest.mark.parametrize("every", [1, 2])
def test_killed_at_any_iteration_and_resumed_is_never_killed_bit_for_bit(every):
    memories = [Memory(every), Memory(every)]
    images, traces = Problem().whole(memories)
    for t in range(24):
        again = [Memory(every), Memory(every)]
        with pytest.raises(KilledError):
            Problem(killed_at=t).whole(again)
        resumed = Problem()
        others, other_traces = resumed.whole(again)
        assert torch.equal(others, images)
        for one, other in zip(traces, other_traces, strict=True):
            same(one, other)
        for one, other in zip(memories, again, strict=True):
            same(one.kept, other.kept)
        begin = 0 if t < 7 else max([7, *range(EVERY, t + 1, EVERY)] if every == 1 else [7, *(20,) * (t >= 20)])
        assert resumed.seen == list(range(begin, 24))  # what was kept is not done again


def test_killed_twice():
    memory, plain = Memory(), Memory()
    expected, _ = Problem().stage(Problem().start, 0, 36, plain)
    for t in (12, 33):
        with pytest.raises(KilledError):
            Problem(killed_at=t).stage(Problem().start, 0, 36, memory)
    resumed = Problem()
    found, _ = resumed.stage(resumed.start, 0, 36, memory)
    assert torch.equal(found, expected) and resumed.seen[0] == 30
    same(memory.kept, plain.kept)


def test_what_was_resumed_from_is_left_as_it_was():
    memory = Memory()
    with pytest.raises(KilledError):
        Problem(killed_at=15).stage(Problem().start, 0, 36, memory)
    given = memory.load()

    class Given(Resume):
        def load(self):
            return given

    Problem().stage(Problem().start, 0, 36, Given())
    same(given, memory.kept)
    assert int(given["done"]) == 10 and int(given["adam.step"]) == 10


def test_a_finished_stage_is_not_run_again():
    memory = Memory()
    images, trace = Problem().stage(Problem().start, 0, 36, memory)
    again = Problem(killed_at=0)
    others, other = again.stage(again.start, 0, 36, memory)
    assert not again.seen and torch.equal(images, others)
    same(trace, other)


def test_keeping_changes_nothing():
    one, two = Problem().whole([None, None]), Problem().whole([Memory(), Memory()])
    assert torch.equal(one[0], two[0])


# What goes wrong


def test_a_loss_that_is_not_finite_names_the_iteration_and_the_last_finite_value():
    def terms(seen, t):
        return {"ce": seen.sum()[None] * 0 + (float("nan") if t == 12 else 2.5)}

    with pytest.raises(DecoctError, match=r"iteration 13 of 50 \(it was 5 the iteration before\)"):
        recover(images_of(1, 1), terms, {"ce": 2.0}, identity, lr=0.1, iterations=50, low=-EDGE, high=EDGE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("first", [0, 20])
def test_a_loss_that_is_never_finite(first, value):
    def terms(seen, t):
        return {"ce": seen.sum()[None] * 0 + value}

    where = "from the start of its stage" if first else "from the start"
    with pytest.raises(DecoctError, match=rf"iteration {first + 1} of 50 \({where}\): lower lr"):
        recover(
            *(images_of(1, 1), terms, {"ce": 2.0}, identity),
            **{"lr": 0.1, "iterations": 50, "low": -EDGE, "high": EDGE, "first": first, "last": first + 3},
        )


def test_a_loss_that_is_not_finite_leaves_the_kept_state():
    memory, good = Memory(), Memory()
    with pytest.raises(KilledError):
        Problem(killed_at=20).stage(Problem().start, 0, 36, good)
    with pytest.raises(DecoctError, match=r"iteration 24 of 36 \(it was \d\S* the iteration before\)"):
        Problem(nan_at=23).stage(Problem().start, 0, 36, memory)
    same(memory.kept, good.kept)
    assert int(memory.kept["done"]) == 20
    mended = Problem()
    images, _ = mended.stage(mended.start, 0, 36, memory)
    assert mended.seen[0] == 20 and images.isfinite().all()


def test_the_last_finite_loss_of_a_resumed_run_is_on_record():
    """The state holds the trace, so the first iteration after a resumption knows the loss before it."""
    memory = Memory()
    for broken in (Problem(killed_at=31), Problem(nan_at=30 + 1)):
        with pytest.raises((KilledError, DecoctError)) as error:
            broken.stage(broken.start, 0, 36, memory)
    assert "iteration 32 of 36 (it was " in str(error.value)


def test_a_gradient_that_is_not_finite_is_not_kept():
    """The loss itself is finite until the next iteration, which the look at the loss would not see."""
    memory = Memory()

    def terms(seen, t):
        return {"ce": (0 * seen).square().sum().sqrt()[None] if t == 19 else seen.sum()[None] * 0 + 1}

    with pytest.raises(DecoctError, match=r"gradient .* iteration 20 of 50 \(the loss was 0\): lower lr"):
        recover(
            *(images_of(1, 1), terms, {"ce": 1.0}, identity),
            **{"lr": 0.1, "iterations": 50, "low": -EDGE, "high": EDGE, "resume": memory},
        )
    assert int(memory.kept["done"]) == 10
