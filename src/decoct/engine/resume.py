"""The state of a training, and its checkpoints: one that was killed goes on where it stood, to equal weights."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from decoct.core.errors import DecoctError
from decoct.core.scratch import replace
from decoct.engine.recipe import Recipe


class Stream(Protocol):
    """Batches of a training, which can say where they stand and go on from there."""

    def state(self) -> dict[str, Tensor]:
        """Where the stream stands."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Let a new stream go on from a ``state``."""


@dataclass
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

    student: nn.Module
    optimiser: torch.optim.Optimizer
    average: list[Tensor] | None
    losses: Tensor
    done: int = 0
    seen: int = 0

    @classmethod
    def of(cls, student: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, device: str) -> Self:
        """Before the first step."""
        average = [p.detach().clone() for p in student.parameters()] if recipe.ema is not None else None
        return cls(student, optimiser, average, torch.zeros(recipe.steps, device=device))

    def check(self, recipe: Recipe) -> None:
        """Raise a DecoctError that names the first step whose loss is not finite."""
        if not (finite := self.losses[: self.done].isfinite()).all():
            bad = int((~finite).nonzero()[0])
            raise DecoctError(f"the training loss is not finite at step {bad + 1} of {recipe.steps}: lower lr")

    def settle(self) -> None:
        """Leave the student in eval mode with the weights that are to be evaluated."""
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(self.student.parameters()), self.average)
        self.student.eval()


@dataclass
class Checkpoint:
    """A file that holds the state of one training, or of none yet.

    Attributes:
        path: of the file; whoever started the training removes it in the end.
        key: of the training: another one's file is not read.
        every: seconds between two saves; the first comes so long after the start.
        beside: called before a state is written: it keeps what a training that goes on from there needs besides.
        saved: called with the file after it was written, to bring it to where another machine finds it.
    """

    path: Path
    key: str
    every: float = 300.0
    last: float = field(default_factory=time.monotonic)
    beside: Callable[[], None] | None = None
    saved: Callable[[Path], None] | None = None

    def save(self, state: State, batches: Stream) -> None:
        """Write the state, if it is time, in one rename: what is there is always whole."""
        if time.monotonic() - self.last < self.every:
            return
        if self.beside is not None:
            self.beside()
        tensors = {f"student.{name}": value for name, value in state.student.state_dict().items()}
        tensors |= {f"stream.{name}": value for name, value in batches.state().items()}
        tensors |= {f"average.{i}": value for i, value in enumerate(state.average or ())}
        kept = state.optimiser.state_dict()["state"]
        tensors |= {f"optimiser.{i}.{name}": torch.as_tensor(v) for i, one in kept.items() for name, v in one.items()}
        tensors |= {"losses": state.losses[: state.done], "random.cpu": torch.random.get_rng_state()}
        if state.losses.is_cuda:
            tensors["random.cuda"] = torch.cuda.get_rng_state(state.losses.device)
        facts = {"key": self.key, "done": state.done, "seen": state.seen}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        replace(self.path, lambda aside: save_file(whole, aside, {"facts": json.dumps(facts)}))
        if self.saved is not None:
            self.saved(self.path)
        self.last = time.monotonic()

    def restore(self, state: State, batches: Stream) -> bool:
        """Bring a fresh training to where the file says; False if there is none that fits."""
        read = self._read()
        if read is None:
            return False
        tensors, facts = read
        state.student.load_state_dict(_part(tensors, "student."))
        batches.restore(_part(tensors, "stream."))
        if state.average is not None:
            torch._foreach_copy_(state.average, [tensors[f"average.{i}"].to(a) for i, a in enumerate(state.average)])
        parameters = [p for group in state.optimiser.param_groups for p in group["params"]]
        kept: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimiser.").items():
            number, _, slot = name.partition(".")
            kept.setdefault(int(number), {})[slot] = _as_lies(value, parameters[int(number)])
        state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": kept})
        state.done, state.seen = facts["done"], facts["seen"]
        state.losses[: state.done] = tensors["losses"].to(state.losses)
        torch.random.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and state.losses.is_cuda:
            torch.cuda.set_rng_state(tensors["random.cuda"], state.losses.device)
        return True

    def done(self) -> int:
        """Steps behind the state in the file; 0 if there is none that fits."""
        read = self._read()
        return read[1]["done"] if read else 0

    def _read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts of the file; None if it is missing, damaged, or another training's."""
        try:
            with safe_open(self.path, "pt") as file:
                facts: dict[str, Any] = json.loads(file.metadata()["facts"])
                if facts["key"] != self.key:
                    return None
                names = list(file.keys())
                return {name: file.get_tensor(name) for name in names}, facts
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _as_lies(value: Tensor, parameter: Tensor) -> Tensor:
    """The value in the parameter's memory format: fused optimisers walk both in the order of memory."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
