"""The Python API: one data set, one set, one protocol at a time, on the user's shared store."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import UsageError
from decoct.core.kinds import Progress, silent
from decoct.core.record import read_json
from decoct.core.spec import build, parse
from decoct.data.dataset import Dataset, default_store, load_data
from decoct.engine.teachers import Teach
from decoct.report.stats import t_interval
from decoct.run.adopt import adopt, check_fit, load_set
from decoct.run.cost import total_cost
from decoct.run.execute import execute, threads
from decoct.run.graph import Planner
from decoct.run.jobs import Job
from decoct.run.module import student_name, train_module
from decoct.run.store import Store, whole
from decoct.run.work import READINGS, RESULT, TEACHER, load_teacher

__all__ = ["Scores", "condense", "load_data", "measure", "teach", "train"]

Watch = Callable[[Job], Progress]


@dataclass(frozen=True)
class Compute:
    """Where and how to compute; all but the device is part of what is stored.

    Attributes:
        device: such as "cpu" or "cuda".
        threads: on a CPU.
        precision: of training, "float32" or "bfloat16".
        store: folder of the cells; None for ``$DECOCT_STORE`` or the user's cache.
        plugins: Python files that define further methods.
        watch: called with every job that is run; gives its progress callback.
    """

    device: str = "cpu"
    threads: int = 1
    precision: str = "float32"
    store: Path | None = None
    plugins: tuple[str, ...] = ()
    watch: Watch = field(default=lambda job: silent, repr=False)

    def planner(self, data: Dataset, teachings: Mapping[str, Teach] | None = None) -> Planner:
        """A planner whose teachers and students are those of a study with seed 0.

        Raises:
            UsageError: the teachers are no table of ``Teach`` by net, or a checkpoint is not there.
        """
        taught = teachings or {}
        if not isinstance(taught, Mapping) or not all(isinstance(spec, Teach) for spec in taught.values()):
            raise UsageError(
                "teachers is a dict of Teach by net, such as {'convnet3_bn': Teach(net='convnet3_bn', epochs=5)}\n"
                "which teachers a protocol takes is said in its table: {'name': 'multi_teacher', 'teachers': [...]}"
            )
        keyed = {"threads": self.threads, "precision": self.precision, "compile": False}
        pinned = {net: spec.pinned() for net, spec in taught.items()}  # by content, so that no key outlives its file
        return Planner(data, 0, keyed, pinned, self.plugins)

    def cells(self) -> Store:
        """The store, made if it is not there."""
        store = Store(self.store or default_store())
        store.root.mkdir(parents=True, exist_ok=True)
        store.sweep()
        return store

    def do(self, planner: Planner) -> Store:
        """Run what the planner planned and the store lacks."""
        store = self.cells()
        for job in planner.jobs.values():
            if not store.has(job.kind, job.key):
                execute(store.root, job, self.device, self.watch(job))
        return store


@dataclass(frozen=True)
class Scores:
    """Test accuracies of students trained on one set, at their last step.

    Attributes:
        accuracy: fractions, one per seed.
        mean: of them.
        ci95: 95 % t interval of the mean over seeds; None with one seed. It conditions on the set.
        n: seeds.
        seeds: of the students.
        protocol: how they were trained.
        student: which net.
        images: of the set.
        steps: optimiser steps of each.
    """

    accuracy: tuple[float, ...]
    mean: float
    ci95: tuple[float, float] | None
    n: int
    seeds: tuple[int, ...]
    protocol: str
    student: str
    images: int
    steps: int

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return asdict(self)


def condense(
    method: str | Mapping[str, Any],
    data: Dataset | str,
    *,
    ipc: int = 10,
    seed: int = 0,
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
    **fields: Any,
) -> Condensed:
    """Make a small training set, with its pixels and its cost; the same call again is read from the store.

    Args:
        method: name of a condenser, or a table with its fields.
        data: a data set or its name.
        ipc: images per class.
        seed: of the method's draws; those that are deterministic have none.
        compute: where and how.
        teachers: nets that are not trained as usual, such as a checkpoint.
        fields: hyper-parameters of the method.

    Raises:
        UsageError: unknown method or field.
        DecoctError: the data cannot give such a set.
    """
    config = {"name": method} if isinstance(method, str) else dict(method)
    spec = parse("condenser", config | fields, compute.plugins)
    budget = build(Budget, {"ipc": ipc}, "budget")
    data = _loaded(data, compute)
    budget.per_class(data.counts(), data.class_names)
    planner = compute.planner(data, teachers)
    made = planner.condense(spec.name, spec, budget, seed)
    store = compute.do(planner)
    found = Condensed.load(store.path("condense", made.key)).materialise(data.train.images)
    return replace(found, cost=total_cost(store, "condense", made.key))


def train(
    condensed: Condensed | str | Path,
    data: Dataset | str,
    *,
    protocol: str | Mapping[str, Any] = "erm",
    student: str | nn.Module | Callable[[], nn.Module] | None = None,
    seeds: Sequence[int] = (0,),
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
    **fields: Any,
) -> Scores:
    """Train students on a set and evaluate each once, at its last step, on the test split.

    Args:
        condensed: a set, or the folder of one.
        data: the data set that it stands for.
        protocol: name or table.
        student: name of a net (default convnet3 up to 64 px, resnet18 above); or a module, copied for each seed; or a
            function that makes one. Only named nets are kept in the store.
        seeds: one student each.
        compute: where and how.
        teachers: nets that are not trained as usual.
        fields: of the protocol.

    Raises:
        UsageError: unknown name or field, no seed, or one twice.
        DecoctError: the set does not fit the data, or the training fails.
    """
    seeds = tuple(int(s) for s in seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError("give at least one seed, and each once: equal seeds train equal students")
    config = {"name": protocol} if isinstance(protocol, str) else dict(protocol)
    spec = parse("protocol", config | fields, compute.plugins)
    data = _loaded(data, compute)
    given = condensed if isinstance(condensed, Condensed) else load_set(Path(condensed), data)
    if student is None:
        student = "convnet3" if data.size <= 64 else "resnet18"
    planner = compute.planner(data, teachers)
    if isinstance(student, str):
        made = adopt(given, data, compute.cells())
        jobs = [planner.train((spec.name, spec), student, made, 0, s) for s in seeds]
        store = compute.do(planner)
        results = [read_json(store.path("train", job.key) / RESULT) for job in jobs]
        accuracies, steps = [r["accuracy"] for r in results], results[0]["steps"]
    else:
        check_fit(given, data)
        jobs = [planner.teacher(net) for net in spec.label_teachers(data.size)]
        store = compute.do(planner)
        nets = [load_teacher(store.path("teacher", job.key), data, compute.device) for job in jobs]
        with threads(compute.threads):
            accuracies, steps = train_module(
                given, data, spec, student, seeds, teachers=nets, device=compute.device, precision=compute.precision
            )
    interval = t_interval(accuracies)
    return Scores(
        accuracy=tuple(accuracies),
        mean=interval.mean,
        ci95=(interval.lo, interval.hi) if len(accuracies) > 1 else None,
        n=len(accuracies),
        seeds=seeds,
        protocol=spec.name,
        student=student if isinstance(student, str) else student_name(student),
        images=len(given),
        steps=steps,
    )


def measure(
    condensed: Condensed | str | Path,
    data: Dataset | str,
    *,
    metrics: Sequence[str | Mapping[str, Any]] = ("prdc", "covering_radius", "mmd", "vendi", "realism"),
    extractors: Sequence[str] = ("teacher",),
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
) -> list[dict[str, Any]]:
    """Representativeness, diversity and quality of a set.

    Returns:
        Rows with ``metric, value, scope, reference, extractor, axis, higher_is_better``; a value is None where the
        metric is not defined.

    Raises:
        UsageError: unknown metric or extractor.
        DecoctError: the set does not fit the data.
    """
    specs = [parse("metric", metric, compute.plugins) for metric in metrics]
    data = _loaded(data, compute)
    given = condensed if isinstance(condensed, Condensed) else load_set(Path(condensed), data)
    made = adopt(given, data, compute.cells())
    planner = compute.planner(data, teachers)
    job = planner.measure(made, specs, extractors)
    rows: list[dict[str, Any]] = read_json(compute.do(planner).path("measure", job.key) / READINGS)
    return rows


def teach(
    net: str | Teach, data: Dataset | str, *, compute: Compute = Compute(), out: Path | None = None
) -> dict[str, Any]:
    """Train a teacher, or adopt a checkpoint, and put its accuracy on held-out images on record.

    Args:
        net: name of the net, or a ``Teach`` with its fields.
        data: a data set or its name.
        compute: where and how.
        out: folder for a copy of ``weights.safetensors`` and ``teacher.json``; None for none.

    Returns:
        net, epochs, steps, checkpoint, val_accuracy, and the folder of its cell, or of the copy.

    Raises:
        UsageError: unknown net, or ``out`` exists.
        DecoctError: the checkpoint does not fit.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: choose another folder")
    data = _loaded(data, compute)
    spec = Teach(net=net) if isinstance(net, str) else net
    planner = compute.planner(data, {spec.net: spec})
    job = planner.teacher(spec.net)
    folder = compute.do(planner).path("teacher", job.key)
    if out is not None:
        with whole(out) as scratch:
            shutil.copytree(folder, scratch)
    return {**read_json(folder / TEACHER), "folder": str(out or folder)}


def _loaded(data: Dataset | str, compute: Compute) -> Dataset:
    return load_data(data, plugins=compute.plugins) if isinstance(data, str) else data
