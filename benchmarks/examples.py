"""What the three ImageNet examples would take on one GPU that is not here: their plans, on data of their shape.

Probes run in this process, as short as they can be, and their operations are counted (``benchmarks/roofline.py``).
Measures and coresets compute with features in the machine's memory, so all of them but the nets' forward passes takes
the time that it takes here. Not in it: disks, decoding, what starts and stops; nor whether the GPU's memory suffices.

Time hangs on shapes, not on values. So the images are a file with holes, of as many images as the data set has, with
noise where probes look, and nets have random weights. The examples are counted as they stand; but MGD³ by the shapes of
its generator alone. Memory: up to 16 GB; disk: some gigabytes in ``--keep``.

    python benchmarks/examples.py imagenette
    python benchmarks/examples.py imagenette imagenet100 imagenet1k --for h100 --keep runs/examples
"""

import argparse
import tempfile
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import diffusers
import numpy as np
import torch

from decoct.core import once
from decoct.core.errors import DecoctError
from decoct.core.record import write_json
from decoct.core.spec import parse
from decoct.data import cache
from decoct.data.dataset import Dataset, Split, open_dataset, parse_source
from decoct.data.imagenet.imagenet import FASTAI, ILSVRC
from decoct.nets import weights, zoo
from decoct.nets.imagenet_classes import wnids
from decoct.nets.renormalise import IMAGENET
from decoct.report import wording
from decoct.study import cell, execute
from decoct.study.estimate import plan, probe
from decoct.study.estimate.probe import picked
from decoct.study.jobs import Job
from decoct.study.study import Study
from decoct.study.work import students
from decoct.study.workers.executors import Inline
from decoct.training.evaluate import correct
from rehearsal import generator
from counter import Counting
from roofline import gpu
from shapes import DEVICE
from yardstick import table

EXAMPLES = Path(__file__).parents[1] / "examples"
SIDE, DEAR = 224, 8  # pixels; groups that are shown
EVALUATED = 64  # images of a student's evaluation that are counted; the others take as long
HELD = 0.1  # of train is val, as by the sources


def data(name: str, root: Path) -> Dataset:
    """A data set of a source's shape, that nobody looks at."""
    source = parse_source({"name": name, "path": "/data"})
    classes = getattr(type(source), "wnids", wnids)()
    train, test = source.expected.get(FASTAI) or source.expected[ILSVRC]
    sizes = {"train": train - round(HELD * train), "val": round(HELD * train), "test": test}
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for split, size in sizes.items():
        labels = np.sort(np.arange(size) % len(classes))
        counts[split] = np.bincount(labels).tolist()
        np.save(folder / f"{split}.labels.npy", labels)
        if not (file := folder / f"{split}.images.npy").is_file():
            images = np.lib.format.open_memmap(file, "w+", np.uint8, (size, 3, SIDE, SIDE))
            rng = np.random.default_rng(0)
            for row in picked(Split(images, labels), len(classes)):
                images[row] = rng.integers(0, 256, images.shape[1:], np.uint8)
            images.flush()
    facts: dict[str, Any] = {"format": cache.FORMAT, "name": name, "digest": f"the shape of {name}", "skipped": []}
    facts |= {"class_names": list(classes), "shape": [3, SIDE, SIDE], "counts": counts, "flip": True}
    write_json(folder / cache.FACTS, facts | {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)})
    write_json(folder / cache.FILES, dict.fromkeys(sizes))
    return open_dataset(folder)


def checkpoint(net: str, root: Path) -> str:
    """A net of ImageNet-1K's classes."""
    file = root / "nets" / f"{net}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        weights.write(file, zoo.build(net, 3, len(wnids()), SIDE, 0), wnids(), IMAGENET)
    return str(file)


def study(name: str, root: Path) -> Study:
    """The example, with weights that are here."""
    said = tomllib.loads((EXAMPLES / f"{name}.toml").read_text("utf-8"))
    said["teachers"] = [{"net": one["net"], "checkpoint": checkpoint(one["net"], root)} for one in said["teachers"]]
    methods = [{"name": one} if isinstance(one, str) else one for one in said["condensers"]]
    said["condensers"] = [
        one | ({"generator": str(generator(root / "generator"))} if one["name"] == "mgd3" else {}) for one in methods
    ]
    return Study.from_dict(said)


def planned(name: str, root: Path, target: str, seconds: float, without: set[str | None]) -> str:
    """A section of the results; sets of some methods are not probed."""
    asked, shaped, start = study(name, root), data(name, root / "data"), time.perf_counter()

    with mock.patch.object(plan, "process_pool", lambda *_: Counting(gpu(target))):
        found = plan.make_plan(asked, shaped, device=DEVICE).probed(seconds, told)
    took = (time.perf_counter() - start) / 60
    write_json(root / f"{name}.json", found.to_json() | {"hardware": gpu(target).name})
    rows = [[kind[what] for what in ("name", "todo", "seconds", "overhead", "unknown")] for kind in found.kinds]
    rows.append(["all", *(sum(row[i] for row in rows) for i in range(1, 5))])
    shown = [[what, f"{n:,}", f"{a / 3600:,.1f}", f"{b / 3600:,.1f}", f"{left:,}"] for what, n, a, b, left in rows]
    ones = [[g.example, len(g.keys), g.each.seconds or 0.0] for g in found.groups]
    dear = sorted(ones, key=lambda one: -one[1] * one[2])[:DEAR]
    heads = ["jobs of kind", "jobs", "work, h", "around it, h", "unknown"], ["such as", "jobs", "each"]
    parts = [f"## {name}.toml\n", table(heads[0], shown), f"\nProbes took {took:.0f} minutes. What takes longest:\n"]
    parts += [table(heads[1], [[what, f"{n:,}", wording.seconds(each)] for what, n, each in dear]), ""]
    return "\n".join([*parts, *found.troubles])


def told(done: int, total: int) -> None:
    """How far the probes are."""
    print(f"{time.strftime('%H:%M:%S')} {done} of {total}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=["imagenette", "imagenet100", "imagenet1k"])
    arguments.add_argument("--for", dest="target", default="h100")
    arguments.add_argument("--probe", type=float, default=3600.0, help="seconds of probes for each")
    arguments.add_argument("--without", nargs="*", default=[], help="methods whose sets are not probed; MGD³ never is")
    arguments.add_argument("--keep", type=Path, help="folder of data, nets and plans")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = (options.keep or Path(folder)).absolute()
        print(f"On one {gpu(options.target).name}; operations counted on {cell.hardware('cpu')}.\n")
        for name in options.names:
            without = {"mgd3", None, *options.without}  # a generator's job has no method
            print(planned(name, root, options.target, options.probe, without), "\n", flush=True)


if __name__ == "__main__":
    main()
