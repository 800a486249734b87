"""A data set of three tiny classes, nets that have learnt nothing, and the inversion as the papers write it."""

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms.v2 import functional as tv

from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs, Kept
from decoct.core.seeds import seed as seeded
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.methods.decoupled._shared.invert import Views
from decoct.needs.dynamics import NAMES, Dynamics, Trace, Traces
from decoct.needs.features import Features
from decoct.needs.out_of_sample import OutOfSample
from decoct.needs.statistics import LayerStatistics, collect
from decoct.nets.features import penultimate


class KeptInMemory(Kept):
    """Keeps everything at every chance."""

    def __init__(self):
        self.found = {}

    def load(self, name):
        return None if name not in self.found else {key: value.copy() for key, value in self.found[name].items()}

    def save(self, name, arrays):
        self.found[name] = {key: np.array(value) for key, value in arrays.items()}

    def due(self):
        return True


@dataclass
class Toy:
    """Random images of a size; ``inputs`` builds what a runner would hand over."""

    data: SimpleNamespace
    teacher: nn.Module
    others: dict = field(default_factory=dict)

    def inputs(self, ipc, seed=5, features=None, **rest):  # a root of 0 would hide a draw that leaves the root out
        rows = self.data.train.images.reshape(len(self.data.train.labels), -1).astype(np.float32)
        needed = {} if features is None else {Features(): rows if features is True else features}
        given = {"teachers": {"teacher": self.teacher, **self.others}, "features": needed}
        return Inputs(data=self.data, budget=Budget(ipc=ipc), seed=seed, **(given | rest))

    def supplied(self, method, ipc, seed=5, **rest):
        """Inputs with what a method needs: statistics and features of the nets, and traces that nobody recorded."""
        data, nets, needs = self.data, {"teacher": self.teacher, **self.others}, method.at(self.data.size).needs()

        def seen(net):
            return penultimate(nets[net], data.train.images, data.mean, data.std).numpy()

        def moments(need):
            return collect(
                nets[need.net], data.train, data.class_names, Pixels.of(data, "cpu"), tile=need.tile_at(data.size)
            )

        given = {
            "statistics": {need.net: moments(need) for need in needs if isinstance(need, LayerStatistics)},
            "features": {need: seen(need.extractor) for need in needs if isinstance(need, Features)},
            "others": {need: guessed(data.train.labels) for need in needs if isinstance(need, OutOfSample)},
            "dynamics": {need: made_up(len(data.train), need.runs) for need in needs if isinstance(need, Dynamics)},
        }
        return replace(self.inputs(ipc, seed), **(given | rest))

    def normalised(self, images):
        """uint8 to what a net sees."""
        return (torch.as_tensor(images).float() / 255 - 0.5) / 0.25


def made_up(images, runs, epochs=6):
    rng = np.random.default_rng(0)

    def run():
        rows = {name: rng.normal(size=(epochs - (name == "shift"), images)) for name in NAMES}
        return Trace(**rows | {"correct": rng.integers(0, 2, (epochs, images), dtype=np.uint8)})

    return Traces(tuple(run() for _ in range(runs)))


def guessed(labels):
    """Probabilities that lean to the label."""
    logits = np.random.default_rng(0).normal(size=(len(labels), labels.max() + 1))
    logits[np.arange(len(labels)), labels] += 1
    return (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


def small_net(channels, classes, seed, width=6):
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * width, classes),
        )
    return net.eval()


@pytest.fixture
def toy():
    def make(size=8, channels=1, per_class=40, classes=3, flip=False, others=()):
        rng = np.random.default_rng(0)
        labels = rng.permutation(np.repeat(np.arange(classes), per_class))
        images = rng.integers(0, 256, (len(labels), channels, size, size), dtype=np.uint8)
        data = SimpleNamespace(
            train=Split(images, labels),
            class_names=tuple("abcdefghij"[:classes]),
            mean=(0.5,) * channels,
            std=(0.25,) * channels,
            flip=flip,
            whitening=None,
            shape=(channels, size, size),
            size=size,
        )
        nets = {name: small_net(channels, classes, i + 1, 4 + i) for i, name in enumerate(others)}
        return Toy(data, small_net(channels, classes, 0), nets)

    return make


@pytest.fixture
def in_both(monkeypatch):
    """in_both(method, inputs): drafts in float32 and in bfloat16, when each has run its nets in that precision."""
    types = set()

    def watched(kind):
        forward = kind.forward

        def run(self, x, *rest):
            types.add((out := forward(self, x, *rest)).dtype)
            return out

        monkeypatch.setattr(kind, "forward", run)

    watched(nn.Linear), watched(nn.Conv2d)

    def make(method, inputs):
        drafts = []
        for precision in ("float32", "bfloat16"):
            spec = method.model_copy(update={"precision": precision})
            types.clear()
            drafts.append(spec(inputs(spec)))
            assert (torch.bfloat16 in types) == (precision == "bfloat16")
        return drafts

    return make


@pytest.fixture
def kept():
    return KeptInMemory()


@pytest.fixture
def rewrite():
    """The recovery loop of one block, one image view after the other, with torchvision's crops and torch's Adam."""

    def run(box, spec, start, loss, *, name, seed=5, stages=None, noise=False, between=None, since=None):
        rng = torch.Generator().manual_seed(seeded(seed, spec.name, *name))
        x = torch.randn(start.shape, generator=rng) if noise else start.clone()
        for k, (first, last) in enumerate(stages or [(0, spec.iterations)]):
            size = x.shape[-1]
            views = Views.draw(
                [rng],
                last - first,
                size,
                scale=spec.scale,
                low=spec.low(torch.arange(first, last)),
                flip=box.data.flip,
                jitter=spec.jitter,
                pad=spec.border(),
                device="cpu",
            )
            x = x.detach().clone().requires_grad_()
            adam = torch.optim.Adam([x], betas=(0.5, 0.9))
            for t in range(first, last):
                active = torch.ones(len(x), dtype=torch.bool) if since is None else torch.tensor(since) <= t
                adam.param_groups[0]["lr"] = spec.lr * (1 + math.cos(math.pi * t / spec.iterations)) / 2
                top, left, height, width = views.boxes[t - first, 0].tolist()
                if spec.border() is None:
                    seen = tv.resized_crop(x[active], top, left, height, width, [size, size], antialias=True)
                else:  # zeros outside
                    seen = tv.crop(x[active], top, left, height, width)
                seen = seen.flip(3) if views.mirrored[t - first, 0] else seen
                seen = seen.roll(views.rolls[t - first, 0].tolist(), (2, 3))
                adam.zero_grad()
                loss(seen, t, active).backward()
                adam.step()
                x.data.clamp_(-2, 2)  # (0 − .5)/.25 and (1 − .5)/.25
            x = between(x, k) if between else x
        x = x.detach()
        return ((x * 0.25 + 0.5) * 255).clamp(0, 255).to(torch.uint8).numpy()

    return run


@pytest.fixture
def layer_moments():
    """What goes into each layer of the given kinds: its output for images, and mean, variance and tiles by layer.

    Convolutions see 8 px, which the tiles cut up.
    """

    def run(net, images, kinds, tile=4):
        seen = {}
        handles = [
            module.register_forward_pre_hook(lambda m, a, key=key: seen.__setitem__(key, a[0].clone()))
            for key, module in net.named_modules()
            if isinstance(module, kinds)
        ]
        out = net(images)
        for handle in handles:
            handle.remove()
        found = []
        for key, x in seen.items():
            parts = [x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)]
            if isinstance(net.get_submodule(key), nn.Conv2d):
                tiles = [x[:, :, y : y + tile, z : z + tile] for y in range(0, 8, tile) for z in range(0, 8, tile)]
                parts += [torch.stack([t.mean() for t in tiles]), torch.stack([t.var(correction=0) for t in tiles])]
            found.append(parts)
        return out, found

    return run


@pytest.fixture
def apart():
    """Σ_l w_l Σ_s ‖s − S‖₂, the first layer tenfold."""

    def run(found, targets):
        return sum(
            (10.0 if i == 0 else 1.0) * sum((s - t).norm() for s, t in zip(parts, wanted, strict=True))
            for i, (parts, wanted) in enumerate(zip(found, targets, strict=True))
        )

    return run
