"""Every job of decoct on a device, beside the CPU's: at 64 px in real float32, at 224 px as it is, and in bfloat16."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.record import MEASURED, read_cost
from decoct.core.spec import names, parse
from decoct.data.dataset import Dataset
from decoct.nets import zoo
from decoct.nets.backbone import PACKAGED, packaged
from decoct.study.drive import Driver
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.workers.executors import process_pool
from devices.agreement import EXACT, HEAD, ROUNDED, SAID, apart
from devices.jobs import IPC, Quick, Trial, pictures, plan
from devices.rows import Rows, Wrong
from devices.scale import Bench, memory
from rehearsal import generator

TRAININGS = ("teacher", "dynamics", "trajectory", "generator", "labels", "train")  # in the precision of the study
COSTS = ["CPU, s", "device, s", "peak memory"]


def small(rows: Rows, bench: Bench) -> None:
    """Every need, method, protocol and metric at 64 px."""
    rows.say(SAID)
    rows.say("Peak memory is what torch had allocated on a CUDA device; elsewhere it is the whole process's.")
    planner = plan(pictures(bench.folder / "small", 64))
    one_step(planner, zoo.student(64, 8))
    trial = Trial(list(planner.jobs.values()), bench.folder / "small")
    by_cpu(rows, bench, trial)
    beside(rows, bench, trial, "Float32 without TF32, beside the CPU", exact=True)
    halved(rows, bench, trial)


def large(rows: Rows, bench: Bench) -> None:
    """What people run at 224 px, on a few classes."""
    scale, folder = bench.scale, bench.folder / "large"
    data = pictures(folder, 224, scale.classes, scale.each)
    trial = Trial(list(planned(data, bench).jobs.values()), folder)
    rows.say(f"{scale.classes} classes of {scale.each} pictures, with the presets of ImageNet-1K and few iterations.")
    by_cpu(rows, bench, trial)
    beside(rows, bench, trial, "Float32 as it is used, beside the CPU", exact=False)
    halved(rows, bench, trial)


def planned(data: Dataset, bench: Bench) -> Planner:
    """Methods with the presets of ImageNet-1K, cut to a few iterations; students and extractors of that size."""

    made = {"generator": str(generator(bench.folder / "generator", data.class_names)), "steps": 2, "batch": 4}
    few, cut = {"candidates": 4, "crops": 2}, {"iterations": bench.scale.iterations}
    recovered = dict.fromkeys(("sre2l", "cda", "cv_dd", "edc", "fadrm", "g_vbsm"), cut)
    methods: dict[str, Mapping[str, Any]] = {"random": {}, "herding": {"extractor": (eye := extractor(bench.folder))}}
    methods |= recovered | {"delt": {"iterations": 8}, "cim": cut | {"candidates": 8}, "rded": few, "rded_crops": few}
    methods |= dict.fromkeys(("mgd3", "d4m_class"), made) | {"minimax": made | {"iterations": 2, "phase": 1}}
    planner = Planner(data, teachings=Quick(epochs=1, batch=16))
    sets = {
        name: planner.condense(name, parse("condenser", {"name": name, **fields}), Budget(ipc=IPC), 0)
        for name, fields in methods.items()
    }
    for name in sorted(names("protocol")):
        protocol = parse("protocol", {"name": name, "steps": bench.scale.steps})
        planner.train((name, protocol), zoo.student(data.size), sets["random"])
    one_step(planner, zoo.student(data.size))
    metrics = {name: parse("metric", {"name": name}) for name in sorted(names("metric"))}
    convolves = [f"timm:{PACKAGED}"] if packaged(PACKAGED) else []  # of an installed package, trained
    planner.measure(sets["rded"], metrics, ["teacher", eye, *convolves], resamples=2)
    return planner


def one_step(planner: Planner, student: str) -> None:
    """Students of one step, whose loss is the first one of their protocol."""
    random = planner.condense("random", parse("condenser", {"name": "random"}), Budget(ipc=IPC), 0)
    for name in sorted(names("protocol")):
        planner.train((f"{name}, one step", parse("protocol", {"name": name, "steps": 1})), student, random)


def extractor(folder: Path) -> str:
    """A transformer of timm's with weights of no training, from a file: nothing is downloaded."""
    import timm
    from safetensors.torch import save_file

    file = folder / "vit.safetensors"
    if not file.is_file():
        torch.manual_seed(0)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(timm.create_model("vit_tiny_patch16_224").state_dict(), file)
    return f"timm:vit_tiny_patch16_224@{file}"


def by_cpu(rows: Rows, bench: Bench, trial: Trial) -> None:
    """The cells that the device's are compared with, from a pool of workers."""

    def alive(job: Job, error: BaseException | None) -> None:
        rows.note(made=title(job))  # whoever watches sees that it goes on

    def make() -> list[object]:
        store = trial.store("cpu")
        driver = Driver(store, lambda workers: process_pool(workers, 1), bench.workers, on_done=alive)
        failed = driver.run(trial.jobs)
        cells = [len(trial.jobs), bench.workers, len(failed)]
        if failed:
            raise Wrong(cells, "; ".join(f"{title(job)}: {failed[job.key]}" for job in trial.jobs if job.key in failed))
        return cells

    rows.table("The CPU's cells", ["", "jobs", "workers", "failed"])
    rows.row("all jobs in a pool", make)


def beside(rows: Rows, bench: Bench, trial: Trial, said: str, exact: bool) -> None:
    """A row a job: what it took, and how far its cell is from the CPU's."""
    rows.table(said, ["job", *COSTS, *HEAD])
    for job in trial.jobs:

        def make(job: Job = job) -> list[object]:
            expected = cell_of(trial, job)
            found, _ = trial.make(job, bench.device, bench.exact() if exact else nullcontext(), "device")
            return judged([seconds(expected), *costs(found)], expected, found, EXACT if exact else ROUNDED)

        rows.row(title(job), make)


def halved(rows: Rows, bench: Bench, trial: Trial) -> None:
    """A row a job that has a precision: what it takes in bfloat16, and how far it is from the CPU's float32."""
    rows.table("Bfloat16, beside float32 of the CPU", ["job", "float32, s", "bfloat16, s", "peak memory", *HEAD])
    for job in trial.jobs:
        if other := in_bfloat16(job):

            def make(job: Job = job, other: Job = other) -> list[object]:
                expected = cell_of(trial, job)
                usual = trial.store(f"device/{job.key}").path(job.kind, job.key)
                found, _ = trial.make(other, bench.device, name="device")
                return judged([seconds(usual), *costs(found)], expected, found, ROUNDED)

            rows.row(title(job), make)


def in_bfloat16(job: Job) -> Job | None:
    """The job with the same inputs, in bfloat16; None if it has no precision.

    Trainings have the study's, which is keyed; other specs have a field, and measurements one an extractor.
    """
    fields, own = job.model_dump(), job.config.get("precision", {})
    if own:
        half = dict.fromkeys(own, "bfloat16") if isinstance(own, dict) else "bfloat16"
        fields["config"] |= {"precision": half}
    elif job.kind not in TRAININGS:
        return None
    fields["keyed"]["compute"]["precision"] = "bfloat16"  # by which the cell gets a key of its own
    return Job(**fields)


def judged(cells: list[object], expected: Path, found: Path, limits: Mapping[str, float]) -> list[object]:
    """The cells with the distances behind them.

    Raises:
        Wrong: they are larger than the limits.
    """
    far = apart(expected, found)
    if why := far.why_not(limits):
        raise Wrong([*cells, *far.cells()], f"too far apart: {why}")
    return [*cells, *far.cells()]


def cell_of(trial: Trial, job: Job) -> Path:
    """The CPU's cell of a job."""
    store = trial.store("cpu")
    if not store.has(job.kind, job.key):
        raise DecoctError("there is no cell of the CPU's to compare with")
    return store.path(job.kind, job.key)


def seconds(cell: Path) -> str:
    """What a cell took under its meter."""
    return f"{read_cost(cell / MEASURED).seconds:.2f}" if cell.is_dir() else ""


def costs(cell: Path) -> list[str]:
    """Seconds and peak memory: of the GPU, or of the whole process."""
    return [seconds(cell), memory(read_cost(cell / MEASURED).peak_memory)]


def title(job: Job) -> str:
    """A job by what tells it from the others."""
    told = [str(value) for name, value in job.labels.items() if name != "budget" and not name.endswith("_replicate")]
    return f"{job.kind} {', '.join(told)}"
