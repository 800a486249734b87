"""Classes that a net can tell apart, experts on a tiny data set, and the memory that a construction takes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.interfaces import Task
from decoct.data.dataset import Split
from decoct.needs.trajectory import Experts, record
from decoct.nets import zoo
from decoct.training.batches import TrainingSet
from decoct.training.recipe import epoch_steps


@pytest.fixture
def peak():
    """Bytes that tensors take at the peak of a call, by torch's profiler."""

    def run(call):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
            call()
        events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
        return max(itertools.accumulate(e.nbytes() for e in sorted(events, key=lambda event: event.start_ns())))

    return run


@pytest.fixture
def patterns(toy):
    """Three classes of 16 px: rows that brighten, columns that brighten, and a chessboard, each with some noise."""
    box = toy(16)
    i, j = np.indices((16, 16))
    means = np.stack([12 * i, 12 * j, 170 * ((i + j) % 2)])
    images = (means[box.data.train.labels][:, None] + box.data.train.images // 8).astype(np.uint8)
    box.data.train = Split(images, box.data.train.labels)
    return box


@pytest.fixture
def matching(toy):
    """Inputs with the experts that a method needs: matching(method, ipc, seed=5, box=None, **fields of Inputs)."""
    known = {}

    def make(method, ipc, seed=5, box=None, **rest):
        box, need = box or toy(), method.need
        if (need, id(box)) not in known:
            known[need, id(box)] = trained(box.data, need)
        return replace(box.inputs(ipc, seed), trajectories={need: known[need, id(box)]}, **rest)

    return make


def trained(data, need):
    """Short trainings, as a runner would hand them over."""
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
    classes = len(data.class_names)
    task = Task(len(labels), classes, data.size, data.flip, ceiling=True, batch_norm=False)
    nets = [zoo.build(need.net, data.shape[0], classes, data.size, seed) for seed in range(need.experts)]
    whole = TrainingSet(images, labels, data.mean, data.std)
    steps = need.epochs * epoch_steps(len(labels), 20, False)
    recipe = replace(need.recipe(task), batch=20, lr=0.05, steps=steps)
    ways = tuple(record(net, whole, recipe, seed=seed) for seed, net in enumerate(nets))
    return Experts(nets[0].eval().requires_grad_(False), ways)
