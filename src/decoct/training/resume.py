"""The state of a training as arrays: a killed one continues where it stopped, to equal weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.training.batches import Batches
from decoct.training.recipe import Recipe

STATE = "training"  # what a training's state is kept as

Arrays = Mapping[str, NDArray[Any]]


class State:
    """All that a training changes, but for the stream of its batches.

    Attributes:
        student: in train mode on its device.
        optimiser: of its parameters.
        average: of its weights, or None.
        losses: [steps] on the device.
        done: steps so far.
        seen: images so far.
    """

    def __init__(self, student: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, device: str) -> None:
        self.student, self.optimiser, self.ema = student, optimiser, recipe.ema or 0.0
        self.average = None if recipe.ema is None else [p.detach().clone() for p in student.parameters()]
        self.losses, self.done, self.seen = torch.zeros(recipe.steps, device=device), 0, 0

    def count(self, loss: Tensor, images: int) -> None:
        """Note a step that was taken: its loss, its images, and the weights in their average."""
        if self.average is not None:
            with torch.no_grad():  # else every step adds a node to the average's own graph
                torch._foreach_lerp_(self.average, list(self.student.parameters()), 1 - self.ema)
        self.losses[self.done] = loss
        self.done += 1
        self.seen += images

    def check(self) -> None:
        """Raise a DecoctError that names the first step whose loss is not finite."""
        if not (finite := self.losses[: self.done].isfinite()).all():
            bad = int((~finite).nonzero()[0])
            raise DecoctError(f"the training loss is not finite at step {bad + 1} of {len(self.losses)}: lower lr")

    def settle(self) -> None:
        """Leave the student in eval mode with the weights that are to be evaluated."""
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(self.student.parameters()), self.average)
        self.student.eval()

    def arrays(self, batches: Batches) -> dict[str, NDArray[Any]]:
        """The whole state, with that of the stream and of the generators that dropout draws from."""
        tensors = {f"student.{name}": value for name, value in self.student.state_dict().items()}
        tensors |= {f"stream.{name}": value for name, value in batches.state().items()}
        tensors |= {f"average.{i}": value for i, value in enumerate(self.average or ())}
        tensors |= optimiser_state(self.optimiser)
        tensors |= {"losses": self.losses[: self.done], "random.cpu": torch.random.get_rng_state()}
        tensors |= {"done": torch.tensor(self.done), "seen": torch.tensor(self.seen)}
        if self.losses.is_cuda:
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.losses.device)
        return to_arrays(tensors)

    def restore(self, arrays: Arrays, batches: Batches) -> None:
        """Bring a fresh training and its stream to where ``arrays`` were taken."""
        tensors = to_tensors(arrays)
        self.student.load_state_dict(_part(tensors, "student."))
        batches.restore(_part(tensors, "stream."))
        if self.average is not None:
            torch._foreach_copy_(self.average, [tensors[f"average.{i}"].to(a) for i, a in enumerate(self.average)])
        restore_optimiser(self.optimiser, tensors)
        self.done, self.seen = int(tensors["done"]), int(tensors["seen"])
        self.losses[: self.done] = tensors["losses"].to(self.losses)
        torch.random.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self.losses.is_cuda:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.losses.device)


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state for each parameter, as ``optimiser.NUMBER.NAME``."""
    return {
        f"optimiser.{number}.{slot}": torch.as_tensor(value)
        for number, each in optimiser.state_dict()["state"].items()
        for slot, value in each.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore a fresh optimiser from ``optimiser_state``, among other tensors."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser.").items():
        number, _, slot = name.partition(".")
        slots.setdefault(int(number), {})[slot] = _as_lies(value, parameters[int(number)])
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Tensors of any device as arrays on the host."""
    return {name: value.detach().cpu().numpy() for name, value in tensors.items()}


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Arrays as tensors of their own on the host."""
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _as_lies(value: Tensor, parameter: Tensor) -> Tensor:
    """The value in the parameter's memory format: fused optimisers walk both in the order of memory."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
