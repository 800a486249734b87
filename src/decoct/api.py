"""The Python API: one data set, one set, one protocol at a time, on the user's shared store."""

import operator
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from torch import nn

from decoct.core.bounds import THREADS
from decoct.core.budget import Budget
from decoct.core.cells import default_where
from decoct.core.condensed import Condensed
from decoct.core.errors import UsageError
from decoct.core.interfaces import Machine, Measured, Progress, silent
from decoct.core.owned import whole
from decoct.core.record import Scores, read_json
from decoct.core.spec import build, parse, shown
from decoct.data.dataset import Dataset, load_data
from decoct.data.external.stored import SetFormat
from decoct.metrics.cost import NOBODY
from decoct.needs.features import Extract, at_hand
from decoct.needs.generator import CARD, ImageGenerator, TeachGenerator
from decoct.needs.teacher import TEACHER, Teach, Teacher, load_labeller
from decoct.nets import zoo
from decoct.nets.student import Student
from decoct.report.read import frame
from decoct.report.stats.intervals import clip, t_interval
from decoct.study.cost import taken, total_cost
from decoct.study.device import check_precision, resolve
from decoct.study.drive import Driver, abreast
from decoct.study.execute import execute, threads
from decoct.study.external_sets import check_fit, check_own, load_set, put_external, put_external_labels
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import Store, open_store
from decoct.study.study import NAMES, Metrics, labelled
from decoct.study.work.measuring import READINGS, readings
from decoct.study.work.sets import check_room
from decoct.study.work.sets import label_bytes as hard_bytes
from decoct.study.work.students import RESULT, student_name, train_module
from decoct.study.workers.place import Place
from decoct.training.recipe import Storing
from decoct.training.softlabels import StoredLabels, stored_labels

__all__ = ["Compute", "Scores", "condense", "load_data", "measure", "relabel", "teach", "teach_generator", "train"]

Watch = Callable[[Job], Progress]


@dataclass(frozen=True)
class Compute:
    """Where and how to compute; threads, precision and plug-ins are part of what is stored.

    Attributes:
        device: "cpu" unless said; "cuda", "cuda:1", "mps"; "auto" for what there is.
        threads: of each job, on a CPU.
        precision: of training, "float32" or "bfloat16".
        store: folder or URL of the cells; None for ``$DECOCT_STORE`` or the user's cache.
        plugins: Python files that define further methods.
        watch: called with every job that is run; gives its progress callback.
        workers: jobs that run at once where several wait for none of each other, such as students of several seeds:
            each in a process of its own, which imports the script that calls this. So a script that asks for several
            begins with ``if __name__ == "__main__":``. Results do not depend on it.

    Raises:
        UsageError: this machine has no such device, it does not compute in that precision, or there is no worker.

    Example:
        >>> from decoct.api import Compute
        >>> Compute(device="cpu", threads=2).device
        'cpu'
    """

    device: str = "cpu"
    threads: int = 1
    precision: str = "float32"
    store: Path | str | None = None
    plugins: tuple[str, ...] = ()
    watch: Watch = field(default=lambda job: silent, repr=False)
    workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", resolve(self.device))
        if self.precision not in ("float32", "bfloat16"):
            raise UsageError(f"no precision is called '{self.precision}': float32 or bfloat16")
        check_precision(self.device, self.precision)
        for name, number in (("threads", self.threads), ("workers", self.workers)):
            if not 1 <= number <= THREADS:
                raise UsageError(f"{name} is a number from 1 to {THREADS:,}, not {shown(number)}")

    def loaded(self, data: Dataset | str) -> Dataset:
        """A data set as it is, or by its name."""
        return load_data(data, plugins=self.plugins) if isinstance(data, str) else data

    def planner(
        self,
        data: Dataset,
        teachings: Mapping[str, Teach] | None = None,
        extractors: Sequence[Extract] = (),
        generators: Sequence[TeachGenerator] = (),
    ) -> Planner:
        """A planner with the teachers and students of a study with seed 0; a UsageError says how ``teachings`` look."""
        taught = teachings or {}
        if not isinstance(taught, Mapping) or not all(isinstance(spec, Teach) for spec in taught.values()):
            raise UsageError(
                "teachers is a dict of Teach by net, such as {'convnet3_bn': Teach(net='convnet3_bn', epochs=5)}\n"
                "which teachers a protocol takes is said in its table: {'name': 'multi_teacher', 'teachers': [...]}"
            )
        keyed = {"threads": self.threads, "precision": self.precision, "compile": False}
        pinned = {net: spec.pinned() for net, spec in taught.items()}  # by content, so that no key outlives its file
        made = {spec.generator: spec.pinned() for spec in generators}
        return Planner(data, 0, keyed, pinned, self.plugins, extractors, made)

    def cells(self) -> Store:
        """The store, made if it is not there; a DecoctError if it cannot be written."""
        store = open_store(str(self.store or default_where()))
        store.prepare()
        return store

    def do(self, planner: Planner) -> Store:
        """Run what the planner planned and the store lacks."""
        store = self.cells()
        missing = {key: job for key, job in planner.jobs.items() if not store.has(job.kind, job.key)}
        at_hand(missing.values())
        if (workers := min(self.workers, abreast(missing))) > 1:
            self._together(store, missing, workers)
            return store
        for job in missing.values():
            execute(store.where, job, self.device, self.watch(job))
        return store

    def _together(self, store: Store, missing: Mapping[str, Job], workers: int) -> None:
        """Run jobs on so many processes; the first failure ends it."""
        shown: dict[str, Progress] = {}

        def begun(job: Job) -> None:
            if job.key not in shown:  # else it begins anew, after a worker died
                shown[job.key] = self.watch(job)

        def done(job: Job, error: BaseException | None) -> None:
            if error is not None:
                raise error
            shown[job.key](1, 1)

        pool = Place("pool", workers, self.device).executors(self.threads, store, missing.values())
        if failed := Driver(store, pool, workers, self.device, begun, done).run(missing.values()):
            raise next(iter(failed.values()))


def condense(
    method: str | Mapping[str, Any],
    data: Dataset | str,
    *,
    ipc: int | None = None,
    fraction: float | None = None,
    images: int | None = None,
    balanced: bool | None = None,
    seed: int = 0,
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
    extractors: Sequence[Extract] = (),
    generators: Sequence[TeachGenerator] = (),
    **fields: Any,
) -> Condensed:
    """Make a small training set, with its pixels and its cost; the same call again is read from the store.

    Args:
        method: name of a condenser, or a table with its fields.
        data: a data set or its name.
        ipc: images of each class; 10 where neither ``fraction`` nor ``images`` is given.
        fraction: share of the train split, the same of each class.
        images: images in all, the same number of each class.
        balanced: True takes the same number of each class for a fraction; False keeps images in proportion to classes.
        seed: of the method's draws; deterministic methods have none.
        compute: where and how.
        teachers: nets that are not trained as usual, such as a checkpoint.
        extractors: those that are not taken as usual, such as ``Extract(name="timm:…", dtype="float16")``; which one a
            method takes is a field of it, ``extractor="timm:…"`` or ``extractor="features.npy"``.
        generators: those that are not trained as usual, such as ``TeachGenerator(generator="own", epochs=20)``.
        fields: hyper-parameters of the method.

    Raises:
        UsageError: unknown method or field, a budget that cannot be meant, or one that the method cannot keep to.
        DecoctError: the data cannot give such a set.

    Example:
        >>> made = decoct.condense("random", "digits", ipc=2)
        >>> len(made), made.images.shape
        (20, (20, 1, 8, 8))
    """
    spec = _spec("condenser", method, fields, compute)
    budget = Budget.asked(ipc, fraction, images, balanced)
    data = compute.loaded(data)
    check_room(spec, data, budget, compute.device)
    planner = compute.planner(data, teachers, extractors, generators)
    made = planner.condense(spec.name, spec, budget, seed)
    store = compute.do(planner)
    found = Condensed.load(store.cell("condense", made.key)).materialise(data.train.images)
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
    soft_labels: StoredLabels | None = None,
    set_format: SetFormat = SetFormat(),
    **fields: Any,
) -> Scores:
    """Train students on a set and evaluate each once, at its last step, on the test split.

    A protocol with teachers learns from stored labels where the set's folder holds some, or they are given here.

    Args:
        condensed: a set, or where one is: what ``condense`` saved, or any that ``load_set`` reads.
        data: the data set that it stands for.
        protocol: name or table.
        student: a word of ``decoct.nets.student``, such as "resnet18", "timm:vit_tiny_patch16_224" or
            "my_package.model:make"; or a module, copied for each seed; or a function that makes one. The default is the
            ConvNet of 128 filters that fits the images (a study's has 32), resnet18 above 128 px. Only students by name
            are kept in the store.
        seeds: one student each.
        compute: where and how.
        teachers: nets that are not trained as usual.
        soft_labels: stored labels of this set, as ``relabel`` makes them.
        set_format: how a set that decoct did not make is stored, where its file does not say so.
        fields: of the protocol.

    Raises:
        UsageError: unknown name or field, no seed, or one twice.
        DecoctError: the set does not fit the data, stored labels not the set or the protocol, or the training fails.

    Example:
        >>> made = decoct.condense("random", "digits", ipc=10)
        >>> scores = decoct.train(made, "digits", student="convnet1_w32", steps=60)
        >>> scores.n, scores.mean > 0.5  # chance is 0.1
        (1, True)
    """
    seeds = tuple(int(s) for s in seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError("give at least one seed, and each once: equal seeds train equal students")
    spec = _spec("protocol", protocol, fields, compute)
    data = compute.loaded(data)
    given = _set(condensed, data, set_format)
    nets = spec.label_teachers(data.size)
    own = spec.storing()
    if nets and soft_labels is None and own is None and not isinstance(condensed, Condensed):
        soft_labels = stored_labels(Path(condensed))
    student = student or zoo.student(data.size)
    planner, cells = compute.planner(data, teachers), compute.cells()
    kept = put_external_labels(soft_labels, cells) if nets and soft_labels else None
    if isinstance(student, str):
        made = put_external(given, data, cells)
        jobs = [planner.train((spec.name, spec), student, made, 0, s, labels=kept) for s in seeds]
        store = compute.do(planner)
        results = [read_json(store.file("train", job.key, RESULT)) for job in jobs]
        accuracies, steps = [r["accuracy"] for r in results], results[0]["steps"]
        stored, label_bytes = "labels" in jobs[0].inputs, results[0]["label_bytes"]
    else:
        check_fit(given, data)
        if nets and kept is None and own is not None:
            made = put_external(given, data, cells)
            kept = planner.relabel((spec.name, spec), made).key
        taught = [] if kept else [planner.job(Teacher(net=net)) for net in nets]
        store = compute.do(planner)
        brought = [load_labeller(store.cell("teacher", job.key), data, compute.device) for job in taught]
        found = StoredLabels.load(store.cell("labels", kept)) if kept else None
        with threads(compute.threads):
            accuracies, steps = train_module(
                given,
                data,
                spec,
                student,
                seeds,
                teachers=brought,
                labels=found,
                machine=Machine(compute.device, compute.precision),
            )
        stored, label_bytes = found is not None, hard_bytes(given) + (found.nbytes if found else 0)
    interval = clip(t_interval(accuracies), 0.0, 1.0)
    return Scores(
        accuracy=tuple(accuracies),
        mean=interval.mean,
        ci95=(interval.lo, interval.hi) if len(accuracies) > 1 else None,
        n=len(accuracies),
        seeds=seeds,
        protocol=spec.name,
        student=Student.of(student).title if isinstance(student, str) else student_name(student),
        images=len(given),
        steps=steps,
        labels="stored" if stored else "online" if nets else "hard",
        label_bytes=label_bytes,
    )


def relabel(
    condensed: Condensed | str | Path,
    data: Dataset | str,
    *,
    protocol: str | Mapping[str, Any] = "single_teacher",
    storing: Storing = Storing(),
    seed: int = 0,
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
    set_format: SetFormat = SetFormat(),
    **fields: Any,
) -> StoredLabels:
    """Label a set once with the teachers of a protocol, so that students learn from it without them.

    Args:
        condensed: a set, or where one is: what ``condense`` saved, or any that ``load_set`` reads.
        data: the data set that it stands for.
        protocol: name or table; its crops, mixing, batch and steps decide which views are labelled.
        storing: per view or per image, bits, classes and views that are kept.
        seed: of the views.
        compute: where and how.
        teachers: nets that are not trained as usual.
        set_format: how a set that decoct did not make is stored, where its file does not say so.
        fields: of the protocol.

    Returns:
        Labels for ``train(..., soft_labels=…)``; ``save`` puts them into the set's folder, where ``train`` finds them.

    Raises:
        UsageError: unknown name or field, or a protocol of hard labels.
        DecoctError: the set does not fit the data.

    Example:
        >>> from decoct.needs.teacher import Teach
        >>> quick = {"convnet2_bn": Teach(net="convnet2_bn", epochs=1)}  # without it: 30 epochs
        >>> labels = decoct.relabel(decoct.condense("random", "digits", ipc=1), "digits", steps=2, teachers=quick)
        >>> labels.classes
        10
    """
    spec = _spec("protocol", protocol, fields, compute)
    data = compute.loaded(data)
    if not spec.label_teachers(data.size):
        raise UsageError(f"{spec.name} learns from hard labels: name a protocol with teachers, such as single_teacher")
    spec = spec.stored(storing)
    given = _set(condensed, data, set_format)
    made = put_external(given, data, compute.cells())
    planner = compute.planner(data, teachers)
    job = planner.relabel((spec.name, spec), made, seed)
    return StoredLabels.load(compute.do(planner).cell("labels", job.key))


def measure(
    condensed: Condensed | str | Path,
    data: Dataset | str,
    *,
    metrics: Sequence[str | Mapping[str, Any]] = NAMES,
    extractors: Sequence[str | Extract] = ("teacher", "held_out"),
    draws: int = 20,
    resamples: int = 20,
    compute: Compute = Compute(),
    teachers: Mapping[str, Teach] | None = None,
    set_format: SetFormat = SetFormat(),
    features: Mapping[str, str | Path] | None = None,
) -> list[dict[str, Any]]:
    """Representativeness, diversity, quality and cost of a set.

    Args:
        condensed: a set, or where one is: what ``condense`` saved, or any that ``load_set`` reads.
        data: the data set that it stands for.
        metrics: names or tables; ``label`` distinguishes two of one name and precedes the names of their values.
        extractors: whose features are used: "teacher", a net's name, "held_out" (a net that took no part in making
            the set), "pixels", "dinov2", "clip", "timm:NAME", "timm:NAME@FILE" or "FILE.npy", or an ``Extract`` of one
            of them with options; ``Extract`` lists them all.
        draws: random sets of the same size to compare with; 0 for none.
        resamples: for intervals over images; 0 for none.
        compute: where and how.
        teachers: nets that are not trained as usual.
        set_format: how a set that decoct did not make is stored, where its file does not say so.
        features: .npy files with features [n, d] of the set's images, by the "FILE.npy" that the real ones are in; for
            a set that has images of its own.

    Returns:
        Rows with ``metric, value, scope, reference, extractor, axis, higher_is_better``; ``lo, hi``, a 95 % interval
        over the images of the set and of val; ``classes`` that a mean was taken over; ``random, random_lo, random_hi``,
        mean and 95 % prediction interval of random sets of the same size, and ``z``, how many of their standard
        deviations the value is above them, with ``random_sd`` and ``random_n``; ``lead``, whether it stands for its
        metric in a report. Undefined values are None, and so is the cost of a set that came without it; cost has no
        extractor ("–").

    Raises:
        UsageError: unknown metric or extractor.
        DecoctError: the set does not fit the data, weights or features are not available or do not fit, or the set has
            images of its own, whose features are not given, and the only extractor is a .npy file.

    Example:
        >>> made = decoct.condense("random", "digits", ipc=2)
        >>> rows = decoct.measure(made, "digits", metrics=["cost"])
        >>> any(row["metric"] == "total_seconds" for row in rows)
        True
    """
    specs = labelled("metric", metrics, compute.plugins)
    build(Metrics, {"draws": draws, "resamples": resamples}, "measure")
    data = compute.loaded(data)
    given = _set(condensed, data, set_format)
    store = compute.cells()
    made, bare = put_external(given, data, store), np.empty((len(given), 0), np.float32)
    bill = Measured(bare, given.labels, {}, {}, data.class_names, given.member, bare, taken(given, made.key, store))
    priced = {label: spec for label, spec in specs.items() if spec.needs == "cost"}
    looking = {label: spec for label, spec in specs.items() if label not in priced}
    rows = [row for label, spec in priced.items() for row in readings(spec, bill, NOBODY, label=label)]
    prices = [frame.beside(row, {}) for row in rows]
    if not looking:
        return prices
    planner = compute.planner(data, teachers, [each for each in extractors if isinstance(each, Extract)])
    words = [each.name if isinstance(each, Extract) else each for each in extractors]
    own = {word: str(file) for word, file in (features or {}).items()}
    check_own(own, given, words)
    involved = {role.partition(":")[2].partition("/")[0] for role in given.provenance.inputs}
    planner.judge(involved)
    job, random = planner.measure(made, looking, words, resamples, own), None
    counts = np.bincount(given.labels, minlength=len(data.class_names)).tolist()
    if draws and all(map(operator.le, counts, data.counts())):
        random = planner.reference(given.provenance.budget, counts, looking, words, draws)
    store = compute.do(planner)
    beside = frame.by_name(read_json(store.file("reference", random.key, READINGS))) if random else {}
    found: list[dict[str, Any]] = read_json(store.file("measure", job.key, READINGS))
    return [frame.beside(row, beside) for row in found] + prices


@overload  # a str is a Sequence[str] as well; the first that fits counts
def teach(  # type: ignore[overload-overlap]
    net: str | Teach, data: Dataset | str, *, compute: Compute = ..., out: Path | None = ...
) -> dict[str, Any]: ...


@overload
def teach(
    net: Sequence[str | Teach], data: Dataset | str, *, compute: Compute = ..., out: Path | None = ...
) -> list[dict[str, Any]]: ...


def teach(
    net: str | Teach | Sequence[str | Teach],
    data: Dataset | str,
    *,
    compute: Compute = Compute(),
    out: Path | None = None,
) -> dict[str, Any] | list[dict[str, Any]]:
    """Train a teacher, or load weights, and record its accuracy on held-out images; or do so for several nets.

    Args:
        net: name of the net, or a ``Teach`` with its fields; or several of them, a committee.
        data: a data set or its name.
        compute: where and how.
        out: folder for a copy of ``weights.safetensors`` and ``teacher.json``, of several nets in a folder each; None
            for none.

    Returns:
        net, epochs, steps, stop_at, checkpoint, val_accuracy …, and the folder of its cell, or of the copy; a list of
        them for several nets.

    Raises:
        UsageError: unknown net, one twice, none, or ``out`` exists.
        DecoctError: weights do not fit, or ``stop_at`` is not reached.

    Example:
        >>> from decoct.needs.teacher import Teach
        >>> decoct.teach(Teach(net="convnet1_bn", epochs=1), "digits")["epochs"]
        1
    """
    _check_free(out)
    data = compute.loaded(data)
    several = [net] if (alone := isinstance(net, str | Teach)) else list(net)
    specs = [Teach(net=one) if isinstance(one, str) else one for one in several]
    nets = [zoo.resolve(spec.net, data.size) for spec in specs]
    if not nets or len(set(nets)) < len(nets):
        raise UsageError(f"give at least one net, and each once, not {nets}")
    planner = compute.planner(data, {spec.net: spec for spec in specs})
    jobs = [planner.job(Teacher(net=spec.net)) for spec in specs]
    store = compute.do(planner)
    cells = {"" if alone else net: store.cell("teacher", job.key) for net, job in zip(nets, jobs, strict=True)}
    found = [read_json(cell / TEACHER) | {"folder": str(place)} for cell, place in _copied(cells, out)]
    return found[0] if alone else found


def teach_generator(
    generator: str | TeachGenerator = "own",
    data: Dataset | str = "digits",
    *,
    compute: Compute = Compute(),
    out: Path | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Train a class-conditional diffusion model on the train split, or check that a supplied one fits the data.

    Args:
        generator: "own" to train one, "hub:NAME" for one in the hub's cache, a local folder in diffusers' layout; or a
            ``TeachGenerator`` with its fields.
        data: a data set or its name.
        compute: where and how.
        out: folder for a copy of what is stored: the weights of one that was trained, and ``generator.json``; such a
            folder is a generator itself. None for none.
        fields: of the training, such as ``epochs=8``.

    Returns:
        generator, steps, epochs, seen, loss, parameters, pixels …, what training or loading it took (``seconds``,
        ``cpu_seconds``), and the folder of its cell, or of the copy.

    Raises:
        UsageError: unknown field, ``out`` exists, images that are too large to train on or do not fit, or diffusers is
            not installed.
        DecoctError: a supplied one is not there, is damaged, or has other classes; or a loss that is not finite.

    Example:
        >>> card = decoct.teach_generator("own", "digits", epochs=1, width=8)
        >>> card["seen"]
        'the train split: 1,295 images'
    """
    _check_free(out)
    named = generator.model_dump() if isinstance(generator, TeachGenerator) else {"generator": generator}
    spec = build(TeachGenerator, named | fields, "generator")
    data = compute.loaded(data)
    planner = compute.planner(data, generators=[spec])
    job = planner.job(ImageGenerator(generator=spec.generator))
    store = compute.do(planner)
    ((cell, place),) = _copied({"": store.cell("generator", job.key)}, out)
    card: dict[str, Any] = read_json(cell / CARD)
    spent = total_cost(store, "generator", job.key)
    return card | {"seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds, "folder": str(place)}


def _spec(kind: str, method: str | Mapping[str, Any], fields: Mapping[str, Any], compute: Compute) -> Any:
    """What a name or a table, and the fields beside it, mean."""
    table = {"name": method} if isinstance(method, str) else method
    return parse(kind, {**table, **fields}, compute.plugins)


def _set(condensed: Condensed | str | Path, data: Dataset, set_format: SetFormat) -> Condensed:
    """A set as it is, or read from where it is."""
    return condensed if isinstance(condensed, Condensed) else load_set(condensed, data, set_format)


def _check_free(out: Path | None) -> None:
    """See that a folder to make is not there yet."""
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: choose another folder")


def _copied(cells: Mapping[str, Path], out: Path | None) -> list[tuple[Path, Path]]:
    """Copy the folder of each cell to its name below ``out``, all or none; give each with its copy, or itself."""
    if out is None:
        return [(cell, cell) for cell in cells.values()]
    with whole(out) as scratch:
        for name, cell in cells.items():
            shutil.copytree(cell, scratch / name)
    return [(cell, out / name) for name, cell in cells.items()]
