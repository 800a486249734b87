"""Run a study: load the data, plan the jobs, drive them, and leave what the report reads."""

import inspect
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import decoct
from decoct.core.kinds import Condenser, Progress, silent
from decoct.core.record import write_json
from decoct.data.dataset import Dataset, load_data
from decoct.engine.presets import WithPresets
from decoct.run.drive import Driver, OnDone, ignore
from decoct.run.executors import Inline, process_pool
from decoct.run.expand import plan
from decoct.run.jobs import Job
from decoct.run.pictures import grid
from decoct.run.room import check_room
from decoct.run.store import Store
from decoct.run.study import Study

MANIFEST, REAL = "run.json", "real.png"
EVERY = 5.0  # seconds between two manifests that tell of failures: of a large study each is megabytes
PAPER = "imagenet1k"  # the preset of the methods' papers


def run(
    study: Study,
    out: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    on_data: Callable[[Dataset], None] = lambda data: None,
    on_plan: Callable[[int, int], None] = silent,
    on_done: OnDone = ignore,
    progress: Progress = silent,
) -> dict[str, str]:
    """Do what is missing of a study in ``out/store``; write ``out/run.json``, and real images as a picture.

    Args:
        study: what.
        out: folder of the run; started again, it resumes.
        workers: jobs at once; one runs in this process.
        device: where each job computes.
        on_data: called once with the data set.
        on_plan: called once with (jobs to do, jobs in all).
        on_done: called after every job that was run.
        progress: of reading the data.

    Returns:
        Messages of the jobs that failed, by key.

    Raises:
        UsageError: an unknown net.
        DecoctError: the data cannot be read, a class is smaller than a budget, or a method needs more memory than there
            is.
    """
    data = load_data(study.data, plugins=study.plugins, progress=progress)
    on_data(data)
    for method in study.methods().values():
        for budget in study.budgets:
            check_room(method, data, budget, device)
    jobs = plan(study, data)
    store = Store(out / "store")
    store.root.mkdir(parents=True, exist_ok=True)
    store.sweep()
    manifest, failures = _manifest(study, data, jobs), dict[str, str]()
    _write(out, manifest, {}, ended=False)
    _replace(out / REAL, grid(data.train.images, np.asarray(data.train.labels), len(data.class_names)).save)

    def pool(size: int) -> Executor:
        return Inline() if workers == 1 else process_pool(size, study.threads)

    told = -EVERY

    def done(job: Job, error: BaseException | None) -> None:
        nonlocal told
        if error is not None:
            failures[job.key] = str(error)
            if time.monotonic() - told >= EVERY:  # whoever watches sees it; the last ones are written at the end
                with suppress(OSError):  # the disk may be full, which is what failed the job
                    _write(out, manifest, failures, ended=False)
                told = time.monotonic()
        on_done(job, error)

    driver = Driver(store, pool, workers, device, done)
    on_plan(len(driver.missing(jobs)), len(jobs))
    failures |= {key: str(error) for key, error in driver.run(jobs).items()}
    store.sweep()  # workers that died left what they were writing
    _write(out, manifest, failures, ended=True)
    return failures


def _write(out: Path, manifest: dict[str, Any], failures: dict[str, str], ended: bool) -> None:
    """Write the manifest, replacing the old one in one step."""
    now = manifest | {"failures": failures, "ended": ended}
    _replace(out / MANIFEST, lambda path: write_json(path, now))


def _manifest(study: Study, data: Dataset, jobs: list[Job]) -> dict[str, Any]:
    """What a run says of itself before it starts."""
    controls = study.controls()
    methods = {label: _method(label, method, data.size, controls) for label, method in study.methods().items()}
    resolved: dict[str, Any] = study.model_dump(mode="json") | {
        "protocols": {label: protocol.config() for label, protocol in study.recipes().items()},
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
        "jobs": [{"key": j.key, "kind": j.kind, "inputs": j.inputs, "labels": j.labels} for j in jobs],
    }


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # the disk may be full


def _method(label: str, method: Condenser, size: int, controls: dict[str, str]) -> dict[str, Any]:
    """What the report says of a method: as it ran, beside its paper's preset, with its docstring and its control."""
    first, _, rest = inspect.cleandoc(type(method).__doc__ or "").partition("\n")
    # A control that has one itself is asked what it adds, as any method.
    control = method.family == "distillation" and label in controls.values() and label not in controls
    about: dict[str, Any] = {
        "family": "control" if control else method.family,
        "stochastic": method.stochastic,
        "summary": first,
        "about": re.sub(r"(?m)^Attributes:$(\n([ \t].*)?)*", "", rest).strip(),
        "config": method.at(size).config(),
    }
    if label in controls:
        about["control"] = controls[label]
    if isinstance(method, WithPresets) and PAPER in method.presets:
        about["paper"] = type(method)(preset=PAPER).at(224).config()
    return about
