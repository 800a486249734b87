"""Jobs that try all of decoct on a device: every need, method, protocol and metric, on a small stand-in for data.

``Trial.expected`` makes each cell on the CPU, where its inputs are; ``Trial.on`` does the same job on another device
from the same inputs, so that one that fails takes no other with it, and says how far its numbers are from the CPU's.
Draws are the same on every device, so cells are equal but for rounding.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file

from decoct.core.budget import Budget
from decoct.core.interfaces import Progress, silent
from decoct.core.spec import find, names, parse
from decoct.data.dataset import Dataset, load_data
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.nets import zoo
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import Store
from same_studies import SMALL, SUPPLIED

IPC, STEPS, CLASSES, EACH = 2, 4, 3, 30
MEASURED = ("cell.json", "measured.json", "preview.png", "initial.png")


def pictures(folder: Path, size: int, classes: int = CLASSES, each: int = EACH) -> Dataset:
    """Colour pictures of classes that differ in their dye, as a data set of a folder."""
    if not (folder / "pictures").is_dir():
        rng = np.random.default_rng(1)
        for c in range(classes):
            (target := folder / "pictures" / f"class{c}").mkdir(parents=True)
            dye = rng.uniform(50, 200, 3)
            for i in range(each):
                pixels = rng.normal(dye, 60, (size, size, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{i:03}.png")
    return load_data({"name": "folder", "path": str(folder / "pictures"), "size": size})


class Quick(dict[str, Teach]):
    """Teachings of every net that is asked for, all alike."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.fields = fields

    def get(self, net: str, default: Any = None) -> Teach:
        """Whatever the net."""
        return Teach(net=net, **self.fields)


def plan(data: Dataset, methods: Mapping[str, Mapping[str, Any]] | None = None, steps: int = STEPS) -> Planner:
    """Every method, cut down, every protocol on a random set, also with stored labels, every metric on another.

    Methods that need a generator of the hub are left out.
    """

    generator = TeachGenerator(epochs=1, width=8)
    planner = Planner(data, teachings=Quick(epochs=3), generators={generator.generator: generator})
    made = {}
    for name in sorted(names("condenser").keys() - set(SUPPLIED)):
        fields = (methods or {}).get(name) or SMALL.get(name, {})
        fields = {key: value for key, value in fields.items() if key != "shards"}
        method = parse("condenser", {"name": name, **find("condenser", name).quick, **fields})
        made[name] = planner.condense(name, method, Budget(ipc=IPC), 0)
    student = zoo.student(data.size, 8)
    for name in sorted(names("protocol")):
        known = find("protocol", name).model_fields
        for stored in (False, True):
            fields = ({"steps": steps} if "steps" in known else {}) | ({"labels": {"bits": 16}} if stored else {})
            if not stored or "labels" in known:
                protocol = parse("protocol", {"name": name, **fields})
                net = student if protocol.start() == "fresh" else started(data)
                planner.train((name + "_stored" * stored, protocol), net, made["random"])
    metrics = {name: parse("metric", {"name": name}) for name in sorted(names("metric"))}
    planner.measure(made["sre2l"], metrics, ["teacher"], resamples=2)
    planner.reference("ipc 2", [IPC] * len(data.class_names), metrics, ["teacher"], 2)
    return planner


def started(data: Dataset) -> str:
    """A net with a file of weights, for protocols that start from some."""
    file = data.folder.parent / "test_resnet.safetensors"
    if not file.is_file():
        state = zoo.build("test_resnet", 3, 10, 64, 0).state_dict()
        save_file({name: value.numpy() for name, value in state.items()}, file)
    return f"test_resnet@{file}"


@dataclass
class Trial:
    """The jobs of a plan, done on the CPU once and on other devices beside it.

    Attributes:
        jobs: inputs before what needs them.
        folder: of the stores.
    """

    jobs: list[Job]
    folder: Path

    def store(self, name: str) -> Store:
        """The store of a device."""
        store = Store(self.folder / name)
        store.root.mkdir(parents=True, exist_ok=True)
        return store

    def expected(self, jobs: Sequence[Job] | None = None) -> None:
        """Make the cells of all jobs on the CPU, or of some with all that lies behind them, but for what is there."""
        store, made = self.store("cpu"), {job.key: job for job in self.jobs}
        wanted = [job.key for job in self.jobs if jobs is None or job in jobs]
        for key in wanted:  # which grows
            wanted += made[key].inputs.values()
        for job in self.jobs:
            if job.key in set(wanted):
                execute(store.root, job)

    def make(
        self,
        job: Job,
        device: str,
        within: AbstractContextManager[Any] | None = None,
        name: str = "",
        progress: Progress = silent,
    ) -> tuple[Path, Any]:
        """Do a job on a device, from the inputs that the CPU made, in a block.

        The cell goes to a store of its own below a name, the device's if there is none: what the device made before is
        no input.

        Returns:
            The cell, and what the block is called.
        """
        expected, found = self.store("cpu"), self.store(f"{name or device}/{job.key}")
        made, todo = {each.key: each for each in self.jobs}, list(job.inputs.values())
        for key in todo:  # which grows: a set's record names what lies behind what it read
            kind, target = made[key].kind, found.path(made[key].kind, key)
            todo += made[key].inputs.values()
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(expected.path(kind, key).absolute(), target_is_directory=True)
        with within or nullcontext() as block:
            execute(found.root, job, device, progress)
        return found.path(job.kind, job.key), block

    def on(
        self, job: Job, device: str, within: AbstractContextManager[Any] | None = None
    ) -> tuple[dict[str, float], Any]:
        """Likewise; how far numbers are from the CPU's, by file, and what the block is called."""
        found, block = self.make(job, device, within)
        return dict(apart(self.store("cpu").path(job.kind, job.key), found)), block


def apart(expected: Path, found: Path) -> Iterator[tuple[str, float]]:
    """The largest relative distance of the numbers of each file of two cells."""
    for file in sorted(path for path in expected.rglob("*") if path.is_file()):
        name = file.relative_to(expected).as_posix()
        if name not in MEASURED and file.suffix in (".safetensors", ".npy", ".json"):
            yield name, distance(content(file), content(found / name))


def content(file: Path) -> dict[str, Any]:
    """The numbers of a file by name."""
    match file.suffix:
        case ".npy":
            return {"": np.load(file)}
        case ".safetensors":
            return dict(load_file(file))
        case _:
            return dict(leaves(json.loads(file.read_text("utf-8"))))


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers in JSON by their path."""
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, f"{name}.{key}")
    elif isinstance(value, int | float) and "seconds" not in name:
        yield name, np.float64(value)


def distance(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference of numbers of the same name, over the largest number there.

    It is infinite if names or shapes differ, or where one of them alone is no number.
    """
    if expected.keys() != found.keys():
        return math.inf
    worst = 0.0
    for name, want in expected.items():
        got = found[name]
        if np.shape(want) != np.shape(got):
            return math.inf
        want, got = np.asarray(want, np.float64), np.asarray(got, np.float64)
        if (np.isnan(want) != np.isnan(got)).any():
            return math.inf
        if want.size and not np.array_equal(want, got, equal_nan=True):
            worst = max(worst, float(np.nanmax(np.abs(want - got)) / max(1e-12, float(np.nanmax(np.abs(want))))))
    return worst
