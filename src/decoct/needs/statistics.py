"""Statistics of the input of every batch norm and convolution, over the train split and over each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress, silent
from decoct.core.needs import Need, Part, Plan, Work
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.data.send import send
from decoct.needs.teacher import Teacher, load_teacher
from decoct.nets import zoo
from decoct.nets.layout import as_input
from decoct.nets.moments import Moments, Sums, flatten, layers, of_each, on_inputs, running, unflatten
from decoct.nets.room import Halving

FILE = "statistics.safetensors"


class LayerStatistics(Need):
    """Moments of the input of each batch norm and convolution of a teacher, over the train split and by class.

    Attributes:
        net: of the teacher; ``"teacher"`` is the default label teacher.
    """

    net: str = "teacher"

    def check(self) -> None:
        """Raise a UsageError if nobody knows the teacher."""
        Teacher(net=self.net).check()

    def parts(self, plan: Plan) -> tuple[Part, ...]:
        """One pass over the train split."""
        net = zoo.resolve(self.net, plan.data.size)
        return (Part(net, None, reads=(Teacher(net=self.net),), labels={"net": net}),)

    @classmethod
    def make(cls, work: Work) -> None:
        """Collect the moments of a teacher over the train split.

        Files:
            statistics.safetensors: moments of what goes into each batch norm and convolution, whole and by class
        """
        (folder,) = work.cells("teacher").values()
        net, pixels = load_teacher(folder, work.data, work.device), Pixels.of(work.data, work.device)
        with work.meter():
            made = collect(net, work.data.train, work.data.class_names, pixels, progress=work.progress)
        made.save(work.folder)

    def load(self, work: Work) -> dict[str, dict[str, "Statistics"]]:
        """By the name that the need gives the net."""
        folder = work.cell("statistics", zoo.resolve(self.net, work.data.size))
        return {"statistics": {self.net: Statistics.load(folder, work.device)}}


@dataclass(frozen=True)
class Statistics:
    """Moments of layer inputs, by layer in order of registration.

    Attributes:
        whole: over the train split, [C] and, at convolutions, [P].
        by_class: over each class, [classes, C] and [classes, P].
    """

    whole: Mapping[str, Moments]
    by_class: Mapping[str, Moments]

    def targets(self, net: nn.Module) -> dict[str, Moments]:
        """The targets of a batch: a batch norm's own running statistics, and those of the convolutions' inputs."""
        own = running(net) if any(not convolution for convolution in layers(net).values()) else {}
        return {name: own.get(name) or self.whole[name] for name in layers(net)}

    def save(self, folder: Path) -> None:
        """Write one safetensors file."""
        parts = {"whole": self.whole, "class": self.by_class}
        tensors = {f"{kind}/{k}": v.cpu() for kind, part in parts.items() for k, v in flatten(part).items()}
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path, device: str) -> "Statistics":
        """Read what ``save`` wrote.

        Raises:
            DecoctError: missing or damaged.
        """
        try:
            tensors = load_file(folder / FILE)
            kinds: dict[str, dict[str, torch.Tensor]] = {"whole": {}, "class": {}}
            for name, value in tensors.items():
                kind, _, rest = name.partition("/")
                kinds[kind][rest] = value.to(device)
            return cls(unflatten(kinds["whole"]), unflatten(kinds["class"]))
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise DecoctError(f"the statistics in {folder} are damaged: {error}; remove that folder") from error


@torch.inference_mode()
def collect(
    net: nn.Module,
    split: Split,
    classes: Sequence[str],
    pixels: Pixels,
    *,
    batch: int = 100,
    progress: Progress = silent,
) -> Statistics:
    """One pass over a split, batch by batch: memory is that of one batch.

    Patch statistics are taken at convolutions, where images are resized up to whole tiles first.

    Args:
        net: in eval mode on the device of ``pixels``.
        split: the train split.
        classes: their names.
        pixels: the data's scale.
        batch: images in one forward pass.
        progress: called with (images, of all).
    """
    convolution, sums, device = layers(net), Sums(len(classes)), pixels.mean.device
    halving, done = Halving("layer statistics", device), 0

    def seen(images: NDArray[np.uint8]) -> tuple[int, list[tuple[str, torch.Tensor]]]:
        made: list[tuple[str, torch.Tensor]] = []  # counted in when the net is through: it may run out of memory
        with on_inputs(net, convolution, lambda name, x: made.extend(of_each(name, x, convolution[name]))):
            net(as_input(pixels.normalise(pixels.load(np.array(images))), net))
        return len(images), made

    for rows, images in split.batches(batch, alone=device.type == "cpu"):
        labels = send(torch.tensor(split.labels[rows]), device)
        for count, made in halving(seen, images):
            for key, new in made:
                sums.count(key, new, labels[:count])
            labels = labels[count:]
        progress(done := done + len(rows), len(split))
    return Statistics(sums.moments(by_class=False), sums.moments(by_class=True))
