"""The machine, and the executors on it: the same small study inline, in a pool and on Ray, its cells byte for byte."""

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch

import decoct
from decoct.core.budget import Budget
from decoct.core.record import MEASURED
from decoct.core.spec import parse
from decoct.nets import zoo
from decoct.study.cell import hardware
from decoct.study.drive import Driver
from decoct.study.execute import cores
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import Store
from decoct.study.workers.gpus import visible_gpus
from decoct.study.workers.place import Place
from devices.agreement import HEAD, ROUNDED, Apart, apart
from devices.jobs import IPC, SMALL, Quick, pictures
from devices.rows import Rows, Wrong
from devices.scale import Bench, memory

VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY = ["nvidia-smi", "--query-gpu=index,name,driver_version,memory.total,power.limit", "--format=csv,noheader"]


def where(rows: Rows, bench: Bench) -> None:
    """What computes, and how it is set."""
    rows.say(f"Scale: {bench.scale.name}.")
    rows.table("What computes", ["", "found"])
    for name, found in machine(bench).items():
        rows.row(name, lambda found=found: [found()])


def machine(bench: Bench) -> dict[str, Any]:
    """What there is to say of it, each to be asked by itself."""
    said = {
        "device": lambda: f"`{bench.device}`, {hardware(bench.device)}",
        "processor": lambda: f"{hardware('cpu')}, {cores()} cores, {memory(psutil.virtual_memory().total)}",
        "system": lambda: f"{platform.system()} on {platform.machine()}",
        "decoct, torch, Python": lambda: f"{decoct.__version__}, {torch.__version__}, {platform.python_version()}",
        "CUDA of torch": lambda: torch.version.cuda or "none",
        VISIBLE: lambda: os.environ.get(VISIBLE, "not set"),
        "TF32 of convolutions, of products of matrices": lambda: (
            f"{'on' if torch.backends.cudnn.allow_tf32 else 'off'}, {torch.get_float32_matmul_precision()}"
        ),
    }
    if not bench.cuda:
        return said
    about = torch.cuda.get_device_properties(bench.device)
    return said | {
        "GPUs that torch sees": torch.cuda.device_count,
        "memory, free of all": lambda: " of ".join(map(memory, torch.cuda.mem_get_info(bench.device))),
        "compute capability, multiprocessors": lambda: f"{about.major}.{about.minor}, {about.multi_processor_count}",
        "cuDNN": torch.backends.cudnn.version,
        "bfloat16": lambda: "yes" if torch.cuda.is_bf16_supported(including_emulation=False) else "no",
        "driver": lambda: _asked(QUERY),
        "GPUs and MIG": lambda: _asked(["nvidia-smi", "-L"]),
    }


def _asked(command: list[str]) -> str:
    """What a command says; that it is not there, if so."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        return f"there is no {command[0]}"
    return "; ".join((done.stdout + done.stderr).split("\n")).strip("; ")


def executors(rows: Rows, bench: Bench) -> None:
    """A row for each executor, which does the same jobs in a store of its own."""
    jobs = list(_study(bench).jobs.values())
    rows.say(
        f"A study of {len(jobs)} jobs at 64 px, done by each executor from nothing. Cells are compared with those of "
        f"the first by byte, but for `{MEASURED}`. Where bytes differ, as sums on a GPU may, `cell.json` does, too, "
        "which has their digests; how far numbers are apart then grows from the teacher on."
    )
    rows.table("The same study by each", ["executor", "device", "jobs at once", "s", "files", "equal", "apart"])
    first: list[Path] = []
    for name, place in places(bench).items():

        def make(name: str = name, place: Place = place) -> list[object]:
            store = Store(bench.folder / "executors" / name.replace(" ", "-"))
            store.prepare()
            failed, took = driven(store, jobs, place)
            if failed:
                raise Wrong([place.device, place.at_once, took], "; ".join(map(str, failed.values()))[:300])
            first.append(store.root)
            found = list(compared(jobs, first[0], store.root))
            files, equal = sum(each[0] for each in found), sum(each[1] for each in found)
            why = "; ".join(each[2] for each in found if each[2])
            cells = [place.device, place.at_once, took, files, equal, why]
            if bench.device == "cpu" and equal < files:
                raise Wrong(cells, "bytes differ on a CPU")
            if "too far" in why:
                raise Wrong(cells, why)
            return cells

        rows.row(name, make)


def places(bench: Bench) -> dict[str, Place]:
    """In this process twice, in a pool of two workers or one a GPU, and on a Ray of its own with one GPU."""
    gpus = visible_gpus(torch.cuda.device_count()) if bench.cuda else ()
    number = torch.device(bench.device).index or 0 if bench.cuda else 0
    shared = {"device": "cuda" if bench.cuda else bench.device}
    return {
        "inline": Place("inline", 1, bench.device),
        "inline again": Place("inline", 1, bench.device),
        "pool": Place("pool", max(2, len(gpus)), **shared, visible=gpus),
        "Ray": Place("ray", 1, **shared, visible=gpus[number : number + 1]),
    }


def driven(store: Store, jobs: list[Job], place: Place) -> tuple[dict[str, BaseException], str]:
    """Failures of jobs that a place did, and the seconds that it took."""
    start = time.perf_counter()
    driver = Driver(store, place.executors(1, store, jobs), place.at_once, place.device, on_cpu=place.on_cpu)
    return driver.run(jobs), f"{time.perf_counter() - start:.1f}"


def compared(jobs: list[Job], one: Path, other: Path) -> Iterator[tuple[int, int, str]]:
    """Of each job: files, how many are equal, and how far apart its cells are with all that they stand on."""
    for job in jobs:
        a, b = (Store(root).path(job.kind, job.key) for root in (one, other))
        files = sorted(path for path in a.rglob("*") if path.is_file() and path.name != MEASURED)
        equal = sum(file.read_bytes() == (b / file.relative_to(a)).read_bytes() for file in files)
        far = apart(a, b) if equal < len(files) else Apart()
        why = [f"{name} {said}" for name, said in zip(HEAD, far.cells(), strict=True) if said not in ("", "0")]
        why += ["too far"] if far.why_not(ROUNDED) else []
        yield len(files), equal, f"{job.kind}: {', '.join(why)}" if why else ""


def _study(bench: Bench) -> Planner:
    """A teacher, sets of three families, a student with stored labels, one without, and a measurement."""
    planner = Planner(pictures(bench.folder / "small", 64), teachings=Quick(epochs=3))
    sets: dict[str, Any] = {}
    for name, fields in {"random": {}, "herding": {}, "sre2l": {"iterations": 4}, "dm": SMALL["dm"]}.items():
        sets[name] = planner.condense(name, parse("condenser", {"name": name, **fields}), Budget(ipc=IPC), 0)
    student = zoo.student(64, 8)
    for name in ("erm", "single_teacher"):
        planner.train((name, parse("protocol", {"name": name, "steps": bench.scale.steps})), student, sets["sre2l"])
    stored = parse("protocol", {"name": "single_teacher", "steps": bench.scale.steps, "labels": {"bits": 16}})
    planner.train(("stored", stored), student, sets["dm"])
    planner.measure(sets["sre2l"], {"prdc": parse("metric", {"name": "prdc"})}, ["teacher"])
    return planner
