"""decoct's input path beside the usual one: a DataLoader that decodes, crops and flips JPEG files image by image.

1,000 training images of 224 px, made here: smooth colours, a random palette and waves of their own for each class.
decoct decodes them once (source ``folder``), keeps them as uint8 at the training size, and cuts whole batches out of
them; the DataLoader decodes with Pillow, cuts its crops out of the 224 px originals by torchvision's v2 transforms,
and has two workers. Both draw RandomResizedCrop(.08, 1) and flips, and step through AdamW with a cosine schedule.

Three tables: the input path alone (target: twice as fast), ResNet-18 with its ImageNet stem at 64 px end to end
(target: not slower), and the accuracy of both loops over five seeds (target: 0 lies in the interval of the difference).

    python benchmarks/loader.py --seconds 3
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from decoct.core.interfaces import Machine, Task
from decoct.core.seeds import seed as derive
from decoct.data import dataset
from decoct.nets import zoo
from decoct.nets.layout import as_input, laid_out
from decoct.protocols.erm import ERM
from decoct.report.stats.intervals import t_interval
from decoct.study.memory import keep_memory
from decoct.training.batches import Batches
from decoct.training.evaluate import correct
from decoct.training.loop import TrainingSet, train
from decoct.training.recipe import Recipe
from yardstick import race, table

CLASSES, PIXELS, BATCH, SCALE = 10, 224, 100, (0.08, 1.0)
SPLITS = {"train": 100, "val": 1, "test": 100}  # images per class; decoct's val is not used here
HEAD = ("decoct, images/s", "DataLoader, images/s")


def make(folder: Path, splits: dict[str, int] = SPLITS) -> None:
    """Write ``FOLDER/SPLIT/CLASS/NUMBER.jpg``: a class has a tint and three waves, under noise."""
    styles = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 56)] * 2), -1)
    for label in range(CLASSES):
        tint, colours, tilt = styles.normal(0, 0.7, 3), styles.normal(size=(3, 3)), styles.uniform(0, np.pi, 3)
        waves = 2 * np.pi * styles.uniform(2, 9, size=(3, 1)) * np.stack([np.cos(tilt), np.sin(tilt)], 1)
        for split, count in splits.items():
            random = np.random.default_rng((label, *split.encode()))
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                image = np.sin(grid @ waves.T + random.uniform(0, 2 * np.pi, 3)) * random.uniform(0.5, 1, 3) @ colours
                image += tint + random.normal(0, 0.7, 3) + _smooth(random, 7, 1.4) + _smooth(random, 28, 0.7)
                square = Image.fromarray((255 / (1 + np.exp(-image))).astype(np.uint8))
                square.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)


def _smooth(random: np.random.Generator, cells: int, strength: float) -> np.ndarray:
    coarse = torch.from_numpy(random.normal(0, strength, size=(1, 3, cells, cells)))
    return F.interpolate(coarse, (56, 56), mode="bicubic", align_corners=False)[0].permute(1, 2, 0).numpy()


class Files(Dataset):
    """JPEG files of class folders, decoded and augmented one by one, as training scripts do."""

    def __init__(self, folder: Path, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.files = sorted(folder.glob("*/*.jpg"))
        self.classes = sorted({file.parent.name for file in self.files})
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=SCALE),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file = self.files[index]
        with Image.open(file) as image:
            return self.transform(image.convert("RGB")), self.classes.index(file.parent.name)


class Theirs:
    """The DataLoader, epoch after epoch, and the training loop around it."""

    def __init__(self, folder: Path, data: dataset.Dataset, workers: int, device: str = "cpu", seed: int = 0) -> None:
        files = Files(folder / "train", data.size, data.mean, data.std)
        order, cuda = torch.Generator().manual_seed(seed), device != "cpu"
        how = {"num_workers": workers, "persistent_workers": True, "pin_memory": cuda, "generator": order}
        self.loader, self.device = DataLoader(files, BATCH, shuffle=True, **how), device

    def batches(self, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(epochs):
            for x, y in self.loader:
                yield x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)

    def train(self, net: nn.Module, epochs: int, recipe: Recipe, precision: str = "float32") -> None:
        laid_out(net.to(self.device)).train()
        optimiser = torch.optim.AdamW(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(self.loader))
        for x, y in self.batches(epochs):
            with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = F.cross_entropy(net(as_input(x, net)).float(), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        net.eval()


class Ours:
    """The same through decoct's engine."""

    def __init__(self, data: dataset.Dataset, device: str = "cpu") -> None:
        images, labels = (torch.from_numpy(np.array(part)) for part in (data.train.images, data.train.labels))
        self.set, self.device = TrainingSet(images, labels, data.mean, data.std), device
        self.task = Task(len(data.train), CLASSES, data.size, flip=True)

    def recipe(self, epochs: int) -> Recipe:
        """Protocol erm with the other loop's batch and crops."""
        return replace(ERM(epochs=epochs, batch=BATCH).recipe(self.task), pad=0, scale=SCALE)

    def batches(self, epochs: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in Batches(self.set, self.recipe(epochs), seed=seed, machine=Machine(self.device)):
            yield batch.images, batch.labels

    def train(self, net: nn.Module, epochs: int, seed: int = 0, precision: str = "float32") -> None:
        train(net, self.set, self.recipe(epochs), seed=seed, machine=Machine(self.device, precision))


def use(batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """Take every batch and do nothing with it."""
    for _ in batches:
        pass


def input_path(data: dataset.Dataset, folder: Path, options: argparse.Namespace) -> list[object]:
    """A row: batches alone."""
    ours, theirs = Ours(data), Theirs(folder, data, options.workers)
    found = race(
        lambda epochs: use(ours.batches(epochs)),
        lambda epochs: use(theirs.batches(epochs)),
        seconds=options.seconds,
        repeats=options.repeats,
        warm=1,
        least=1,
    )
    return [f"input path, {data.size} px", *found.cells(len(data.train)), "≥ 2"]


def end_to_end(
    data: dataset.Dataset,
    folder: Path,
    *,
    workers: int,
    seconds: float,
    repeats: int,
    device: str = "cpu",
    precision: str = "float32",
    target: str = "≥ 1",
) -> list[object]:
    """A row: training ResNet-18 with the ImageNet stem, whatever the size."""
    ours, theirs = Ours(data, device), Theirs(folder, data, workers, device)
    mine, other = (zoo.build("resnet18", 3, CLASSES, PIXELS, seed=0) for _ in range(2))
    found = race(
        lambda epochs: ours.train(mine, epochs, precision=precision),
        lambda epochs: theirs.train(other, epochs, ours.recipe(epochs), precision),
        seconds=seconds,
        repeats=repeats,
        warm=1,
        least=1,
    )
    return [f"`resnet18`, {data.size} px", *found.cells(len(data.train)), target]


def accuracies(data: dataset.Dataset, folder: Path, options: argparse.Namespace) -> Iterator[tuple[float, float]]:
    """Accuracy on the test images of decoct's loop and of the other, seed by seed; nets start equal."""
    ours, net = Ours(data), options.net
    for replicate in range(options.seeds):
        seed = derive(0, "loader", replicate)
        mine, other = (zoo.build(net, 3, CLASSES, data.size, seed) for _ in range(2))
        ours.train(mine, options.epochs, seed)
        torch.manual_seed(seed)
        Theirs(folder, data, options.workers, seed=seed).train(other, options.epochs, ours.recipe(options.epochs))
        yield tuple(float(correct(one, data.test, data, "cpu").mean()) for one in (mine, other))


def compared(pairs: list[tuple[float, float]]) -> str:
    """Markdown: both accuracies and their difference, with 95 % t intervals over seeds."""
    mine, theirs = (list(column) for column in zip(*pairs, strict=True))
    apart = [a - b for a, b in pairs]
    rows = []
    for name, values in (("decoct", mine), ("DataLoader", theirs), ("difference", apart)):
        found = t_interval(values)
        each = ", ".join(f"{100 * v:.1f}" for v in values)
        rows.append([name, f"{100 * found.mean:.2f}", f"[{100 * found.lo:.2f}, {100 * found.hi:.2f}]", each])
    found = t_interval(apart)
    known, inside = not math.isnan(found.lo), found.lo <= 0 <= found.hi
    word = f"{'inside' if inside else 'outside'} the interval of the difference" if known else "untested: one seed"
    return table(["loop", "accuracy, %", "95 % t interval", "by seed"], rows) + f"\n\n0 is {word}."


def prepared(folder: Path, size: int) -> tuple[dataset.Dataset, float]:
    """The images as decoct has them, and the seconds that reading them once took."""
    start = time.perf_counter()
    data = dataset.load_data({"name": "folder", "path": str(folder), "size": size}, folder.parent / f"cache{size}")
    return data, time.perf_counter() - start


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3, help="of one turn")
    arguments.add_argument("--repeats", type=int, default=5, help="turns of each loop")
    arguments.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments.add_argument("--workers", type=int, default=2, help="of the DataLoader")
    arguments.add_argument("--seeds", type=int, default=5, help="trainings of each loop for the accuracies")
    arguments.add_argument("--epochs", type=int, default=40, help="of those")
    arguments.add_argument("--net", default="convnet3_w32", help="of those")
    options = arguments.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "images")
        make(folder)
        files = list((folder / "train").glob("*/*.jpg"))
        weight = sum(file.stat().st_size for file in files) / len(files)
        sizes = {size: prepared(folder, size) for size in (224, 64, 32)}
        rows = [input_path(sizes[size][0], folder, options) for size in (224, 64)]
        timing = {"workers": options.workers, "seconds": options.seconds, "repeats": options.repeats}
        rows.append(end_to_end(sizes[64][0], folder, **timing))
        pairs = list(accuracies(sizes[32][0], folder, options))
    once = ", ".join(f"{seconds:.1f} s at {size} px" for size, (_, seconds) in sizes.items())
    print(
        f"{len(files):,} JPEGs of {PIXELS} px and {weight / 1000:.0f} kB, batch {BATCH}, threads: {options.threads}, "
        f"workers of the DataLoader: {options.workers}; medians of {options.repeats} turns of whole epochs.\n"
        f"Reading train, val and test once takes decoct {once}, and is not counted below.\n"
    )
    print(table(["", *HEAD, "ratio (lowest to highest)", "target"], rows))
    print(f"\n`{options.net}` at 32 px, {options.epochs} epochs, {CLASSES * SPLITS['test']:,} test images.\n")
    print(compared(pairs))


if __name__ == "__main__":
    main()
