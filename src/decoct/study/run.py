"""Run a study: load the data, plan the jobs, drive them, and leave what the report reads."""

import inspect
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import decoct
from decoct.core.cells import STORE, recorded
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Condenser, Progress, silent
from decoct.core.owned import check_own, holds
from decoct.core.record import write_json
from decoct.core.scratch import replace
from decoct.data.dataset import Dataset, load_data
from decoct.methods._shared.presets import WithPresets
from decoct.needs.features import at_hand
from decoct.study.device import check_precision, resolve
from decoct.study.drive import Driver, OnDone, OnStart
from decoct.study.execute import precisions
from decoct.study.expand import expand
from decoct.study.external_sets import Entry, read_external
from decoct.study.jobs import OWN, Job
from decoct.study.store.store import open_store
from decoct.study.store.upkeep import keep_root
from decoct.study.study import External, Study
from decoct.study.work.sets import check_room, grid
from decoct.study.workers.place import Place

MANIFEST, REAL = "run.json", "real.png"
TABLES = ("results.csv", "scores.csv", *(f"{name}.parquet" for name in ("results", "metrics", "costs", "scores")))
LEFT = (MANIFEST, REAL, "report.html", "tables", *TABLES)  # by a run and its report, beside the store
EVERY = 5.0  # seconds between two manifests that tell of failures: of a large study each is megabytes
PAPER = "imagenet1k"  # the preset of the methods' papers


def run(
    study: Study,
    out: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    place: Place | None = None,
    store: str | Path | None = None,
    on_data: Callable[[Dataset], None] = lambda data: None,
    on_plan: Callable[[int, int], None] = silent,
    on_start: OnStart = lambda job: None,
    on_done: OnDone = lambda job, error: None,
    on_back: OnStart = lambda job: None,
    progress: Progress = silent,
) -> dict[str, str]:
    """Run the missing jobs of a study; write ``out/run.json``, and real images as a picture.

    Args:
        study: what.
        out: folder of the run; started again, it resumes.
        workers, device: how many jobs at once, one of which runs in this process, and where each computes.
        place: the same and more, instead of them: in a pool, on Ray, with which GPUs.
        store: folder or URL of the cells, which other studies may share; ``out/store`` by default.
        on_data, on_plan: called once with the data set, and with (jobs to do, jobs in all).
        on_start: called when a job begins, see ``Driver``.
        on_done: called after every job that was run.
        on_back: called when a job waits again, see ``Driver``.
        progress: of reading the data.

    Returns:
        Messages of the jobs that failed, by key.

    Raises:
        UsageError: an unknown net, files in ``out`` that decoct did not write, or a device that is not there or does
            not compute in the study's precision.
        DecoctError: the data cannot be read, a class is smaller than a budget, or a method needs more memory than there
            is, or the store cannot be written.
    """
    check_out(out)
    place = place or Place(workers=workers, device=resolve(device))
    here = place.address is None  # else the devices are of other machines
    if here:
        check_precision(resolve(place.device), study.precision)
    data = load_data(study.data, plugins=study.plugins, progress=progress)
    on_data(data)
    for method in study.methods().values() if here else ():
        for budget in study.budgets:
            check_room(method, data, budget, place.device)
    sets = read_external(study, data)
    jobs = expand(study, data, [entry.planned for entry in sets])
    for precision in {each for job in jobs if job.kind not in place.on_cpu for each in precisions(job)} if here else ():
        check_precision(place.device, precision)
    cells = open_store(str(store or out / STORE))
    cells.prepare()
    out.mkdir(parents=True, exist_ok=True)
    for entry in sets:
        entry.put(data, cells)
    manifest, failures = {**_manifest(study, data, jobs, sets), "store": recorded(store)}, dict[str, str]()

    def write(ended: bool) -> None:
        now = manifest | {"failures": failures, "ended": ended}
        replace(out / MANIFEST, lambda path: write_json(path, now))

    write(ended=False)
    replace(out / REAL, grid(data.train.images, np.asarray(data.train.labels), len(data.class_names)).save)
    told = -EVERY

    def done(job: Job, error: BaseException | None) -> None:
        nonlocal told
        if error is not None:
            failures[job.key] = str(error)
            if time.monotonic() - told >= EVERY:  # whoever watches sees it; the last ones are written at the end
                with suppress(OSError):  # the disk may be full, which is what failed the job
                    write(ended=False)
                told = time.monotonic()
        on_done(job, error)

    pool = place.executors(study.threads, cells, jobs)
    driver = Driver(cells, pool, place.at_once, place.device, on_start, done, place.on_cpu, on_back)
    missing = driver.missing(jobs)
    if here:
        at_hand(missing.values())
    on_plan(len(missing), len(jobs))
    if missing:
        cells.offer(data.folder)
    if store is not None:
        keep_root(cells, out, manifest["jobs"])
    failures |= {key: str(error) for key, error in driver.run(jobs).items()}
    cells.sweep()  # workers that died left what they were writing
    cells.finish_late()
    write(ended=True)
    return failures


def check_out(out: Path) -> None:
    """Raise a UsageError unless a folder is a run's, or holds nothing that a run would replace."""
    damaged = (out / MANIFEST).is_file() and (out / STORE).is_dir()  # or whole: a run's in any case
    check_own(out, LEFT, damaged or holds(out / MANIFEST, "jobs"))


def _manifest(study: Study, data: Dataset, jobs: list[Job], external: list[Entry]) -> dict[str, Any]:
    """What a run says of itself before it starts."""
    read = {label: [e.condensed for e in external if e.planned.label == label] for label in study.outsiders()}
    controls = study.controls()
    again = {job.labels["method"] for job in jobs if job.kind == "condense" and job.labels["condense_replicate"]}
    methods = {label: _method(label, method, data.size, controls) for label, method in study.methods().items()}
    methods = {label: about | {"stochastic": about["draws"] or label in again} for label, about in methods.items()}
    methods |= {label: _outsider(entry, read[label]) for label, entry in study.outsiders().items()}
    resolved: dict[str, Any] = study.model_dump(mode="json") | {
        "protocols": {label: protocol.config() for label, protocol in study.recipes().items()},
        "native": list(study.natives()),
        "metrics": study.metrics.model_dump(mode="json")
        | {"names": {label: metric.config() for label, metric in study.measures().items()}},
    }
    return {
        "format": 1,
        "decoct": decoct.__version__,
        "name": study.name,
        "study": resolved,
        "data": {
            "name": data.name,
            "digest": data.digest,
            "class_names": list(data.class_names),
            "images": {name: len(getattr(data, name)) for name in ("train", "val", "test")},
            "test_per_class": np.bincount(data.test.labels, minlength=len(data.class_names)).tolist(),
            "shape": list(data.shape),
            "flip": data.flip,
            "skipped": list(data.skipped),
        },
        "methods": methods,
        "jobs": [_job(job) for job in jobs],
    }


def _job(job: Job) -> dict[str, Any]:
    """What the report reads of a job; of a need also whether another replicate would draw it anew."""
    said = {"key": job.key, "kind": job.kind, "inputs": job.inputs, "labels": job.labels}
    return said if job.kind in OWN else said | {"drawn": job.drawn}


def _method(label: str, method: Condenser, size: int, controls: dict[str, str]) -> dict[str, Any]:
    """What the report says of a method: as it ran, beside its paper's preset, with its docstring and its control."""
    first, _, rest = inspect.cleandoc(type(method).__doc__ or "").partition("\n")
    # A control that has one itself is asked what it adds, as any method.
    control = method.family == "distillation" and label in controls.values() and label not in controls
    about: dict[str, Any] = {
        "family": "control" if control else method.family,
        "draws": method.stochastic,
        "summary": first,
        "about": re.sub(r"(?m)^Attributes:$(\n([ \t].*)?)*", "", rest).strip(),
        "config": method.at(size).config(),
    }
    if label in controls:
        about["control"] = controls[label]
    if isinstance(method, WithPresets) and PAPER in method.presets:
        about["paper"] = type(method)(preset=PAPER).at(224).config()
    return about


def _outsider(entry: External, sets: list[Condensed]) -> dict[str, Any]:
    """What the report says of external sets: how they were read, and what their author says that one took."""
    fields = [condensed.provenance.spec.get("fields", {}) for condensed in sets]
    names, several = dict.fromkeys(name for own in fields for name in own), entry.paths is not None
    values = {name: list(dict.fromkeys(str(own[name]) for own in fields if name in own)) for name in names}
    read = {name: fields[0][name] if len(values[name]) == 1 else " / ".join(values[name]) for name in names}
    return {
        "family": entry.family,
        "draws": several,
        "stochastic": several,
        "summary": f"{len(sets)} external sets, not made here." if several else "An external set, not made here.",
        "about": "",
        "config": {"name": entry.label, **read},
        "external": {"cost": entry.cost.model_dump() if entry.cost else None},
    }
