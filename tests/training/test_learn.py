"""A loop that may be killed at any step."""

import numpy as np
import pytest
import torch

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Kept, Machine
from decoct.training.learn import STATE, learn, numbered


class Everything(Kept):
    """Keeps at every chance."""

    def __init__(self):
        self.found = {}

    def load(self, name):
        return self.found.get(name)

    def save(self, name, arrays):
        self.found[name] = {key: np.array(value) for key, value in arrays.items()}

    def due(self):
        return True


class Quadratic:
    """Momentum on ‖x − target(t)‖², with a second tensor that counts steps."""

    def __init__(self, given):
        self.given = given
        self.x, self.count = torch.ones(3, requires_grad=True), torch.zeros(1)
        self.optimiser = torch.optim.SGD([self.x], 0.1, momentum=0.5)
        self.broken = lambda t: 1.0
        self.taken = []

    def step(self, t):
        self.taken.append(t)
        self.optimiser.zero_grad()
        loss = (self.x - torch.arange(3.0) * t).square().sum() * self.broken(t)
        loss.backward()
        self.optimiser.step()
        self.count += 1
        return loss.detach()

    def run(self, steps=8):
        tensors = {"x": self.x, **numbered([self.count], "count")}
        return learn(self.given, "method", self.optimiser, self.step, steps, tensors)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 7])
def test_a_killed_loop_goes_on_with_momentum_losses_and_all_else(after):
    whole, kept = Quadratic(Machine()), Everything()
    trace = whole.run()

    def progress(done, total):
        if done > after:
            raise KilledError

    with pytest.raises(KilledError):
        Quadratic(Machine(kept=kept, progress=progress)).run()
    again = Quadratic(Machine(kept=kept))
    assert torch.equal(again.run(), trace)
    assert again.taken == list(range(after, 8)) and float(again.count) == 8
    assert torch.equal(again.x, whole.x)


@pytest.mark.parametrize("bad", [0, 3])
def test_a_loss_that_is_not_finite_leaves_the_state_before(bad):
    kept = Everything()
    loop = Quadratic(Machine(kept=kept))
    loop.broken = lambda t: float("nan") if t == bad else 1.0
    before = r"it was \d.* the step before" if bad else "from the start"
    with pytest.raises(
        DecoctError, match=rf"method: the loss is not finite at step {bad + 1} of 8 \({before}\): lower"
    ):
        loop.run()
    assert len(kept.found[STATE]["trace"]) == bad if bad else not kept.found


def test_a_gradient_that_is_not_finite_is_told_before_the_state_is_kept():
    kept = Everything()
    loop = Quadratic(Machine(kept=kept))
    real = loop.step

    def step(t):
        loss = real(t)
        if t == 4:
            loop.x.data[1] = float("inf")
        return loss

    loop.step = step
    with pytest.raises(DecoctError, match=r"method: x no longer finite after step 5 of 8 \(the last loss was"):
        loop.run()
    assert len(kept.found[STATE]["trace"]) == 4 and np.isfinite(kept.found[STATE]["x"]).all()


def test_progress_is_told():
    told = []
    Quadratic(Machine(progress=lambda done, total: told.append((done, total)))).run(3)
    assert told == [(1, 3), (2, 3), (3, 3)]
