"""Records of a net after each epoch of a training, kept with the training's state."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Kept, Machine
from decoct.training.batches import TrainingSet
from decoct.training.loop import train
from decoct.training.recipe import Recipe, epoch_steps

Arrays = Mapping[str, NDArray[Any]]


class Recorder(Kept, ABC):
    """Fills rows, one per epoch. As the ``Kept`` of the training that it watches, it keeps the rows before each state.

    If rows behind a state are gone, so is the state: the training starts anew.

    Attributes:
        rows: by name [T, …] of the T whole epochs, filled by ``look``.
        carried: by name, what ``look`` remembers from one epoch to the next besides.
    """

    rows: dict[str, NDArray[Any]]
    carried: dict[str, NDArray[Any]]

    def __init__(self, data: TrainingSet, recipe: Recipe, machine: Machine) -> None:
        self.data, self.recipe, self.machine, self.under = data, recipe, machine, machine.kept
        self.every = epoch_steps(len(data.labels), recipe.batch, recipe.drop_single)
        self.epochs = recipe.steps // self.every
        if self.epochs == 0:
            raise DecoctError(
                f"{recipe.steps} steps are less than an epoch of {self.every}: train longer to record a training"
            )
        self.rows, self.carried = {}, {}
        self.done = self.safe = 0  # epochs that are recorded; of them, those that are kept
        self.marks: list[int] = []  # epochs after which ``carried`` is kept

    @abstractmethod
    def look(self, net: nn.Module, epoch: int) -> None:
        """Fill the rows of an epoch, counted from 0."""

    def watch(self, net: nn.Module, seed: int) -> None:
        """Train the net in place and record it."""
        train(net, self.data, self.recipe, seed=seed, machine=replace(self.machine, kept=self), on_epoch=self._see)

    @torch.inference_mode()
    def _see(self, net: nn.Module, epochs: int) -> None:
        self.look(net, epochs - 1)
        self.done = epochs

    def due(self) -> bool:
        """As what lies under it says."""
        return self.under.due()

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep the rows that are not yet kept, and what is carried; then the state."""
        for epoch in range(self.safe, self.done):
            self.under.save(f"epoch-{epoch}", {name: rows[epoch] for name, rows in self.rows.items()})
        if self.carried and self.done > self.safe:
            self.under.save(f"after-{self.done}", self.carried)
            self.marks.append(self.done)
            for old in self.marks[:-2]:  # the state that is there still needs that of the last time
                self.under.drop(f"after-{old}")
            self.marks = self.marks[-2:]
        self.safe = self.done
        self.under.save(name, arrays)

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """The state, if the rows of the epochs before it are there: then they are taken up."""
        state = self.under.load(name)
        done = int(state["done"]) // self.every if state else 0
        for epoch in range(done):
            if not _take(self.rows, self.under.load(f"epoch-{epoch}"), epoch):
                return None
        if done and self.carried:
            if not _take(self.carried, self.under.load(f"after-{done}"), ...):
                return None
            self.marks = [done]
        self.safe = self.done = done
        return state


def _take(into: Arrays, kept: Arrays | None, at: Any) -> bool:
    """Copy what was kept into arrays by name; False if nothing was."""
    for name, values in (kept or {}).items():
        into[name][at] = values
    return kept is not None
