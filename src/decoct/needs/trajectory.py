"""Expert trajectories: the weights of a net after every epoch of a training on the train split, kept for matching."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from decoct.core import arrayfile
from decoct.core.bounds import TIMES
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine, Task
from decoct.core.machine import blame
from decoct.core.needs import Need, Part, Plan, Work
from decoct.core.record import read_json, write_json
from decoct.data.send import send
from decoct.needs.teacher import Teacher, training_set
from decoct.nets import zoo
from decoct.nets.layout import as_input, has_batch_norm
from decoct.nets.precision import within
from decoct.training.batches import TrainingSet
from decoct.training.recipe import Recipe, epoch_steps
from decoct.training.recorder import Recorder

WEIGHTS, FACTS = "weights.npy", "weights.json"

Shapes = tuple[tuple[str, tuple[int, ...]], ...]  # names and shapes of parameters, in the net's order


class Trajectories(Need):
    """Weights of nets after every epoch of a training on the train split: ``Experts``.

    SGD at a constant rate of .01 in batches of 256, without momentum or weight decay, as in the code of Cazenavette et
    al. (2022, arXiv:2203.11932), who also crop, scale and rotate where there is no ``dsa``.

    Attributes:
        net: that is trained.
        epochs: of each training.
        experts: trainings from so many seeds; fewer are the first of more.
        dsa: whether batches are augmented by differentiable Siamese augmentation.
    """

    net: str
    epochs: int = Field(50, ge=1)
    experts: int = Field(100, ge=1, le=TIMES)
    dsa: bool = True

    def check(self) -> None:
        """Raise a UsageError if the zoo does not know the net."""
        Teacher(net=self.net).check()

    def parts(self, plan: Plan) -> list[Part]:
        """A training for each expert."""
        zoo.check_fits(self.net, plan.data.size)
        return [
            Part(
                self._named(run),
                self.model_copy(update={"experts": 1}),
                {"seed": plan.derive("trajectory", self.net, run)},
                labels={"net": self.net, "training": f"{self.epochs} epochs, expert {run}"},
            )
            for run in range(self.experts)
        ]

    @classmethod
    def make(cls, work: Work) -> None:
        """Train an expert from one seed, and keep its weights after every epoch.

        Files:
            weights.npy: all weights as one row, at the start and after each epoch [T + 1, P]
            weights.json: names and shapes of the parameters in a row
        """
        data, seed = work.data, work.job.keyed["seed"]
        need = cls.again(work.job.config)
        net = zoo.build(need.net, data.shape[0], len(data.class_names), data.size, seed)
        images, recipe = training_set(data), need.recipe(Task.of(data, batch_norm=has_batch_norm(net)))
        with work.meter():
            trajectory = record(net, images, recipe, seed=seed, machine=work.machine())
        trajectory.save(work.folder)

    def load(self, work: Work) -> "dict[str, dict[Trajectories, Experts]]":
        """The experts: weights as memory maps, and the net on the device."""
        data, name = work.data, zoo.resolve(self.net, work.data.size)
        net = zoo.build(name, data.shape[0], len(data.class_names), data.size, seed=0).to(work.device)
        folders = [work.cell("trajectory", self._named(run)) for run in range(self.experts)]
        return {"trajectories": {self: Experts.load(net, folders)}}

    def recipe(self, task: Task) -> Recipe:
        """The training of each on a whole train split."""
        batch = min(256, task.images)
        return Recipe(
            steps=self.epochs * epoch_steps(task.images, batch, task.batch_norm),
            batch=batch,
            optimiser="sgd",
            lr=0.01,
            weight_decay=0.0,
            decay_all=True,
            schedule="multistep",  # with no milestone: constant
            dsa=self.dsa,
            flip=self.dsa and task.flip,
            drop_single=task.batch_norm,
        )

    def _named(self, run: int) -> str:
        return f"{self.net}/{self.epochs}/{'dsa' if self.dsa else 'plain'}/{run}"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One training.

    Attributes:
        weights: [E + 1, P] float32, the parameters after 0 … E epochs, each row one after the other in the net's order.
        shapes: names and shapes of the parameters.
    """

    weights: NDArray[np.float32]
    shapes: Shapes

    @property
    def epochs(self) -> int:
        """E."""
        return len(self.weights) - 1

    def save(self, folder: Path) -> None:
        """Write ``weights.npy`` and ``weights.json``."""
        np.save(folder / WEIGHTS, self.weights, allow_pickle=False)
        write_json(folder / FACTS, {"parameters": [[name, list(shape)] for name, shape in self.shapes]})

    @classmethod
    def load(cls, folder: Path) -> "Trajectory":
        """What ``save`` wrote, the weights as a memory map.

        Raises:
            DecoctError: missing or damaged.
        """
        try:
            weights = arrayfile.read(folder / WEIGHTS)
            parameters = read_json(folder / FACTS)["parameters"]
            shapes = tuple((str(name), tuple(map(int, shape))) for name, shape in parameters)
            if weights.ndim != 2 or weights.dtype != np.float32 or weights.shape[1] != size_of(shapes):
                raise ValueError(f"{list(weights.shape)} {weights.dtype} for {size_of(shapes)} parameters")
            return cls(weights, shapes)
        except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
            blame(error)
            raise DecoctError(f"the trajectory in {folder} is damaged: {error}; remove that folder") from error


@dataclass(frozen=True, eq=False)
class Experts:
    """Trainings from different seeds, and the net that takes their weights as one vector.

    The net is in eval mode and has no running statistics: batch norm, where there is any, normalises by the batch.

    Attributes:
        net: built once; its own weights are never read.
        trajectories: one an expert.
        precision: of the forward pass.
    """

    net: nn.Module
    trajectories: tuple[Trajectory, ...]
    precision: str = "float32"

    @classmethod
    def load(cls, net: nn.Module, folders: Sequence[Path]) -> "Experts":
        """One expert per folder.

        Raises:
            DecoctError: a trajectory is missing or damaged, or of another net.
        """
        trajectories = tuple(Trajectory.load(folder) for folder in folders)
        for folder, trajectory in zip(folders, trajectories, strict=True):
            if trajectory.shapes != shapes_of(net):
                raise DecoctError(f"the trajectory in {folder} is of another net: remove that folder")
        return cls(by_batch_alone(net), trajectories)

    def __len__(self) -> int:
        return len(self.trajectories)

    @cached_property
    def shapes(self) -> Shapes:
        """Names and shapes of the net's parameters."""
        return shapes_of(self.net)

    @property
    def size(self) -> int:
        """P, parameters of the net."""
        return size_of(self.shapes)

    def weights(self, expert: int, epoch: int, device: str = "cpu") -> Tensor:
        """[P] float32 of an expert after so many epochs; a copy on ``device``."""
        return send(torch.from_numpy(np.array(self.trajectories[expert].weights[epoch])), device)

    def parameters(self, flat: Tensor) -> dict[str, Tensor]:
        """A vector [P] as the parameters of the net by name: views of it."""
        parts = flat.split([math.prod(shape) for _, shape in self.shapes])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes, parts, strict=True)}

    def logits(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """[B, classes] float32 of the net with these parameters, on [B, C, S, S] normalised images."""

        def forward(x: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self.net, dict(parameters), (x,))
            return outputs

        return within(forward, self.precision)(as_input(images, self.net))


def record(net: nn.Module, data: TrainingSet, recipe: Recipe, *, seed: int, machine: Machine = Machine()) -> Trajectory:
    """Train ``net`` in place and keep its weights before it, and after every epoch.

    Memory is that of the training; the [E + 1, P] weights lie in the room that ``machine.kept`` gives, and those behind
    a state are kept there.

    Raises:
        DecoctError: there is no whole epoch, or the loss is not finite.
    """
    recorder = _Weights(net, data, recipe, machine)
    recorder.watch(net, seed)
    return Trajectory(recorder.weights, shapes_of(net))


def shapes_of(net: nn.Module) -> Shapes:
    """Names and shapes of a net's parameters."""
    return tuple((name, tuple(parameter.shape)) for name, parameter in net.named_parameters())


def size_of(shapes: Shapes) -> int:
    """P, the number of parameters."""
    return sum(math.prod(shape) for _, shape in shapes)


def flattened(net: nn.Module) -> Tensor:
    """The parameters of a net as one vector, [P], on its device."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in net.parameters()])


def by_batch_alone(net: nn.Module) -> nn.Module:
    """The net in eval mode, its batch norms without running statistics, which are not part of a trajectory."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return net.eval().requires_grad_(False)


class _Weights(Recorder):
    """Records the weights."""

    def __init__(self, net: nn.Module, data: TrainingSet, recipe: Recipe, machine: Machine) -> None:
        super().__init__(data, recipe, machine)
        start = flattened(net).cpu().numpy()
        self.weights: NDArray[Any] = self.under.array("weights", (self.epochs + 1, len(start)), np.float32)
        self.weights[0] = start
        self.rows = {"weights": self.weights[1:]}

    def look(self, net: nn.Module, epoch: int) -> None:
        """Copy them."""
        self.rows["weights"][epoch] = flattened(net).cpu().numpy()
