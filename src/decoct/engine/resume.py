"""Checkpoints inside a long training: one that was killed goes on where it stood and ends with equal weights."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from decoct.data.cache import sync
from decoct.engine.batches import Batches

if TYPE_CHECKING:
    from decoct.engine.train import State


@dataclass
class Checkpoint:
    """A file that holds the state of one training, or of none yet.

    Attributes:
        path: of the file; whoever started the training removes it in the end.
        key: of the training: another one's file is not read.
        every: seconds between two saves; the first comes so long after the start.
    """

    path: Path
    key: str
    every: float = 300.0
    last: float = field(default_factory=time.monotonic)

    def save(self, state: "State", batches: Batches) -> None:
        """Write the state, if it is time, in one rename: what is there is always whole."""
        if time.monotonic() - self.last < self.every:
            return
        tensors = {f"student.{name}": value for name, value in state.student.state_dict().items()}
        tensors |= {f"stream.{name}": value for name, value in batches.state().items()}
        tensors |= {f"average.{i}": value for i, value in enumerate(state.average or ())}
        kept = state.optimiser.state_dict()["state"]
        tensors |= {f"optimiser.{i}.{name}": torch.as_tensor(v) for i, one in kept.items() for name, v in one.items()}
        tensors |= {"losses": state.losses[: state.done], "random.cpu": torch.random.get_rng_state()}
        if state.losses.is_cuda:
            tensors["random.cuda"] = torch.cuda.get_rng_state(state.losses.device)
        facts = {"key": self.key, "done": state.done, "seen": state.seen}
        scratch = self.path.with_name(f".tmp-{os.getpid()}-{self.path.name}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        save_file(whole, scratch, {"facts": json.dumps(facts)})
        sync(scratch)
        scratch.replace(self.path)
        self.last = time.monotonic()

    def restore(self, state: "State", batches: Batches) -> bool:
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
