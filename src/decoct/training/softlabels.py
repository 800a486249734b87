"""Soft labels that a training reads: a set's own, and stored ones, for every image or for views.

Views have their crops, flips and mixing, and labels are whole or pruned: per view as FKD keeps them (Shen & Xing, 2022,
arXiv:2112.01528), pruned as LPLD does (Xiao & He, 2024, arXiv:2410.15919): some of the training's batches are kept, and
used again and again.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Generator, Tensor

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import TrainProtocol
from decoct.core.machine import blame
from decoct.core.record import read_json, write_json
from decoct.core.seeds import seed as derive
from decoct.core.tensorfile import openable
from decoct.training.batches import TrainingSet
from decoct.training.packing import Arrays, decode, shapes, unpack
from decoct.training.recipe import Recipe, Storing
from decoct.training.views import View

ARRAYS, FACTS, FORMAT = "labels.safetensors", "labels.json", 1
VIEWED = ("batch", "pad", "scale", "flip", "shuffle", "cutmix", "mixup", "halves")  # of a recipe, what views depend on
LEAST = torch.finfo(torch.float32).tiny  # the logarithm of 0 times 0 would be no number


def stored_labels(folder: Path) -> "StoredLabels | None":
    """The labels that a set's folder holds; None if there are none."""
    return StoredLabels.load(folder) if (folder / FACTS).is_file() else None


@lru_cache(maxsize=8)
def _again(kept: int, number: int, seed: int) -> list[int]:
    """The order of the kept batches in a later pass over them."""
    generator = Generator().manual_seed(derive(seed, "reuse", number))
    order: list[int] = torch.randperm(kept, generator=generator).tolist()
    return order


def fingerprint(data: TrainingSet) -> str:
    """Digest of the images and labels that stored labels belong to."""
    sha = hashlib.sha256(f"{tuple(data.images.shape)} {data.images.dtype}".encode())
    sha.update(np.ascontiguousarray(data.images.numpy()).data)
    sha.update(np.ascontiguousarray(data.labels.numpy()).data)
    return sha.hexdigest()[:32]


def viewed(recipe: Recipe) -> dict[str, Any]:
    """What the views of a recipe depend on."""
    fields = {name: getattr(recipe, name) for name in VIEWED}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


@dataclass(frozen=True, eq=False)
class StoredLabels:
    """Soft labels on disk, as a training reads them.

    Attributes:
        arrays: what ``packing.encode`` made of the logits and, per view, what ``packing.pack`` made of the views.
        facts: format, storing, fingerprint of the set, class names, recipe of the views, temperature, seed.
    """

    arrays: Arrays
    facts: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write ``labels.safetensors`` and ``labels.json``."""
        save_file({name: np.ascontiguousarray(array) for name, array in self.arrays.items()}, folder / ARRAYS)
        write_json(folder / FACTS, self.facts)

    @classmethod
    def load(cls, folder: Path) -> "StoredLabels":
        """Read what ``save`` wrote.

        Raises:
            DecoctError: damaged, or written by another version.
        """
        try:
            facts = read_json(folder / FACTS)
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']}, not {FORMAT}")
            labels = cls(load_file(openable(folder / ARRAYS)), facts)
            labels.complete()
            return labels
        except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            blame(error)
            why = " ".join(str(error).split())[:200]
            raise DecoctError(f"the stored labels in {folder} are damaged: {why}; make them again") from error

    def complete(self) -> None:
        """Raise a ValueError unless every view has its label, and all values are such as ``relabel`` writes."""
        arrays, facts, storing = self.arrays, self.facts, Storing(**self.facts["storing"])
        if lacking := {"set", "temperature", "size", "images"} - facts.keys():
            raise ValueError(f"{FACTS} lacks {', '.join(sorted(lacking))}")
        wanted, count, kept = {}, facts["images"], min(storing.top_k or self.classes, self.classes)
        most: dict[str, Any] = {"classes": self.classes - 1}
        if storing.per == "view":
            views, sizes = facts["views"], arrays["sizes"].astype(np.int64)
            most |= {"rows": count - 1, "partners": sizes.repeat(sizes) - 1, "areas": facts["size"]}
            most |= {"corners": 2 * views["pad"], "boxes": facts["size"], "tiles": views["shuffle"] - 1}
            count = self.ends[-1]
            wanted = shapes(views, len(sizes), count, "areas" in arrays)
        width = kept if kept == self.classes else kept + 1
        wanted |= {"values": (count, width)} if storing.bits == 16 else {"codes": (count, width), "range": (count, 2)}
        wanted |= {} if kept == self.classes else {"classes": (count, kept)}
        there = {name: array.shape for name, array in arrays.items()}
        if wrong := sorted(name for name in wanted | there if there.get(name) != wanted.get(name)):
            raise ValueError(f"wrong number of {', '.join(wrong)}")
        for name, array in arrays.items():
            if not np.isfinite(array).all() or (array > most.get(name, np.inf)).any():
                raise ValueError(f"{name} hold values that cannot be")

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays: labels and views."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.facts["class_names"])

    @cached_property
    def ends(self) -> list[int]:
        """Views before the end of each kept batch."""
        return list(accumulate(self.arrays["sizes"].tolist()))

    def check_set(self, data: TrainingSet, class_names: tuple[str, ...]) -> None:
        """Raise a DecoctError unless the labels are of this set and these classes."""
        if tuple(self.facts["class_names"]) != class_names:
            raise DecoctError("the stored labels have other classes, or the same in another order, than the data")
        if self.facts["set"] != fingerprint(data):
            raise DecoctError("the stored labels belong to another set: relabel this one ('decoct relabel')")

    def check(self, data: TrainingSet, class_names: tuple[str, ...], recipe: Recipe) -> None:
        """Raise a DecoctError unless the labels are of this set, these classes and views as the recipe draws them."""
        self.check_set(data, class_names)
        if self.facts["storing"]["per"] == "view":
            mine, theirs = viewed(recipe), self.facts["views"]
            if other := [name for name in VIEWED if mine[name] != theirs[name]]:
                what = ", ".join(f"{name} {theirs[name]} (the protocol's is {mine[name]})" for name in other)
                raise DecoctError(
                    f"the stored labels are of other views: {what}\n"
                    "relabel the set with the protocol, its fields and the resolution that it is to be trained with"
                )
        k, t = self.facts["storing"]["top_k"], self.facts["temperature"]
        if recipe.loss == "kl" and recipe.temperature != t:
            if k is not None:
                raise DecoctError(f"the labels were cut to {k} classes for temperature {t}, not {recipe.temperature}")
            if self.facts["storing"]["per"] == "image" and (recipe.cutmix or recipe.mixup):
                raise DecoctError(f"labels of images are mixed at temperature {t}, not {recipe.temperature}")

    def views(self, first: int, last: int, seed: int) -> View | None:
        """The stored view of the soft steps ``first`` to ``last``; None where labels fit any view."""
        if self.facts["storing"]["per"] == "image":
            return None
        return View.join([self._view(batch) for batch in self._batches(first, last, seed)])

    def logits(self, first: int, last: int, seed: int, view: View) -> Tensor:
        """[M, classes] float32 logits of that view."""
        if self.facts["storing"]["per"] == "image":
            return self._mixed(view)
        spans = [self._span(batch) for batch in self._batches(first, last, seed)]
        return self._decoded(np.concatenate([np.arange(span.start, span.stop) for span in spans]))

    def _batches(self, first: int, last: int, seed: int) -> list[int]:
        """The kept batch of each step: all in their order, then again and again in an order drawn from the seed."""
        kept, in_turn = len(self.ends), self.facts["storing"]["by"] == "epoch"
        return [
            step % kept if in_turn or step < kept else _again(kept, step // kept, seed)[step % kept]
            for step in range(first, last)
        ]

    def _span(self, batch: int) -> slice:
        return slice(self.ends[batch] - int(self.arrays["sizes"][batch]), self.ends[batch])

    def _view(self, batch: int) -> View:
        return unpack(self.arrays, self._span(batch), batch, self.facts["size"])

    def _decoded(self, rows: NDArray[np.int64]) -> Tensor:
        packed = {"values", "codes", "range", "classes"} & self.arrays.keys()
        return torch.from_numpy(decode({name: self.arrays[name][rows] for name in packed}, self.classes))

    def _mixed(self, view: View) -> Tensor:
        """Labels of the images; where two are mixed, logits whose softened softmax is the mixture by area."""
        t, labels = self.facts["temperature"], []
        parts = self._decoded(view.rows.numpy()).split(view.sizes)
        for z, mix in zip(parts, view.mixes or [None] * len(parts), strict=True):
            if mix is None or mix.share == 1:
                labels.append(z)
                continue
            level = t * (z / t).logsumexp(1, keepdim=True)  # shared by all classes: no matter to KL, but to MSE
            both = torch.stack([(z - level) / t, (z - level)[mix.order] / t])
            share = torch.tensor([mix.share, 1 - mix.share])
            mixture = torch.logsumexp(both + share.log().view(2, 1, 1), 0)
            labels.append(t * mixture + torch.lerp(level[mix.order], level, mix.share))
        return torch.cat(labels)


@dataclass(frozen=True, eq=False)
class OwnLabels:
    """One label per image, whatever the view."""

    probabilities: Tensor  # [N, classes] float32

    def views(self, first: int, last: int, seed: int) -> View | None:
        """None: the labels fit any view."""
        return None

    def logits(self, first: int, last: int, seed: int, view: View) -> Tensor:
        """[M, classes] logarithms of the labels; of two images that are mixed, of the mixture by area."""
        parts = self.probabilities[view.rows.cpu()].split(view.sizes)
        labels = [
            part if mix is None else torch.lerp(part[mix.order.cpu()], part, mix.share)
            for part, mix in zip(parts, view.mixes or [None] * len(parts), strict=True)
        ]
        return torch.cat(labels).clamp_min(LEAST).log()


def own_labels(protocol: TrainProtocol, condensed: Condensed | None) -> OwnLabels | None:
    """The soft labels of a set, if it has some and the protocol learns from them."""
    if condensed is None or condensed.soft_labels is None or not protocol.takes_own_labels():
        return None
    return OwnLabels(torch.from_numpy(condensed.soft_labels))
