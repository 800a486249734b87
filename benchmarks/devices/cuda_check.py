"""All of decoct on the device "cuda" without a GPU: fake tensors, the CUDA build of torch. See ``fake_cuda.py``.

    python benchmarks/devices/cuda_check.py

Every job of ``jobs.py`` at 64 px, from inputs that the CPU made, in float32 on "cuda" and in bfloat16 on "cuda:1";
those named in ``LARGE`` at 224 px, where nets are ResNets, with what they need. First, errors are planted, each of
which must be refused. It goes on after a failure, writes a section of ``docs/results/devices.md``, and leaves with 1 if
anything failed.
"""

import argparse
import datetime
import platform
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from decoct.methods.coresets._shared.gradients import Head
from decoct.study.execute import execute
from decoct.study.jobs import Job
from decoct.study.store.store import KeptOnDisk
from decoct.training import loop
from decoct.training.resume import State
from devices.fake_cuda import BYTES, FakeCuda, fake_cuda
from devices.fake_cuda import REPLACED as OF_TORCH
from devices.jobs import Trial, pictures, plan
from devices.page import put
from yardstick import table

LARGE = ("craig", "delt", "dm", "edc", "fadrm", "g_vbsm", "random", "rded", "sre2l")  # methods, and their students
NEEDS = ("teacher", "statistics", "features", "dynamics", "out_of_sample", "trajectory", "labels")
REPLACED = OF_TORCH | {
    "`Head.off` of decoct": "a check of values, that logits are those of a net's last layer: they are"
}


@dataclass(frozen=True)
class Row:
    """A job that was tried: what failed, and what it asked of the device."""

    name: str
    failed: str
    calls: int
    waits: int

    @property
    def cells(self) -> list[str]:
        """Of a table."""
        return [self.failed.replace("|", "/") or "ok", f"{self.calls:,}", f"{self.waits:,}"]


def tried(name: str, do: Callable[[], object], mode: FakeCuda, loud: bool = False) -> Row:
    """Do a job in the mode; a failure is told and noted."""
    mode.calls.clear()
    mode.waits.clear()
    start, failed = time.perf_counter(), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            do()
    except Exception as error:
        failed = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        if loud:
            traceback.print_exc()
    row = Row(name, failed, mode.calls.total(), mode.waits.total())
    print(f"{time.perf_counter() - start:6.1f} s {row.calls:7,} {row.waits:5,}  {name}  {failed or 'ok'}", flush=True)
    return row


def alike(trial: Trial, job: Job, device: str) -> None:
    """Do a job on the device; arrays that it leaves must have the names and shapes of what the CPU left."""
    apart, _ = trial.on(job, device)
    if strange := [file for file, by in apart.items() if by == float("inf") and not file.endswith(".json")]:
        raise ValueError(f"names or shapes are not those of the CPU: {', '.join(strange)}")


def halved(job: Job) -> Job:
    """The job with all nets in bfloat16."""
    compute, config = {**job.keyed["compute"], "precision": "bfloat16"}, dict(job.config)
    if "precision" in config:
        each = config["precision"]
        config["precision"] = dict.fromkeys(each, "bfloat16") if isinstance(each, dict) else "bfloat16"
    return Job.model_validate({**job.model_dump(), "config": config, "keyed": {**job.keyed, "compute": compute}})


def rare(trial: Trial, job: Job) -> Iterator[tuple[str, Callable[[], object]]]:
    """What small jobs do not come to, done with a student."""

    def crowded() -> None:
        with mock.patch.object(torch.cuda, "mem_get_info", lambda *_: (0, BYTES)):
            alike(trial, job, "cuda:2")

    def killed(state: State, *given: Any) -> None:
        count(state, *given)
        if state.done == 3:
            raise InterruptedError

    def resumed() -> None:
        with mock.patch.object(KeptOnDisk, "due", lambda _: True):
            try:
                with mock.patch.object(State, "count", killed):
                    alike(trial, job, "cuda:3")
            except InterruptedError:
                alike(trial, job, "cuda:3")

    count = State.count
    yield "a set that does not fit: batches go over from pinned memory", crowded
    yield "a student that is killed at its third step, and goes on", resumed


def planted(trial: Trial, job: Job) -> Iterator[tuple[str, Callable[[], object]]]:
    """Errors in a student's steps that CUDA would refuse."""
    objective, logits = loop.objective, loop._logits

    def hosts(x: torch.Tensor, labels: torch.Tensor, *rest: Any) -> torch.Tensor:
        return objective(x, labels.cpu(), *rest)

    def drawn(*given: Any) -> torch.Tensor:
        x = logits(*given)
        return x + torch.rand(x.shape, device=x.device, generator=torch.Generator())

    def read(*given: Any) -> torch.Tensor:
        return logits(*given) + float(logits(*given).detach().numpy().mean())

    def first(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        return objective(x, *rest) * torch.ones(1, device="cuda:0")

    for what, name, wrong in (
        ("labels of the host in the loss", "objective", hosts),
        ("a draw on the device by a generator of the host", "_logits", drawn),
        ("a tensor of the device read by NumPy", "_logits", read),
        ("a tensor on cuda:0 in a job on cuda:4", "objective", first),
    ):

        def do(name: str = name, wrong: Any = wrong) -> None:
            with mock.patch.object(loop, name, wrong):
                alike(trial, job, "cuda:4")

        yield what, do


def small(mode: FakeCuda, folder: Path, only: str) -> dict[str, list[Row]]:
    """All jobs at 64 px, what they do not come to, and errors."""
    jobs = list(plan(pictures(folder, 64)).jobs.values())
    trial = Trial(jobs, folder)
    trial.expected()
    student = next(job for job in jobs if job.kind == "train" and "protocol erm ·" in str(job))
    rows: dict[str, list[Row]] = {"planted": [], "float32": [], "bfloat16": [], "rare": []}
    for name, do in planted(trial, student):
        rows["planted"].append(tried(name, do, mode))
    for job in jobs:
        if only in str(job):
            for kind, each, device in (("float32", job, "cuda"), ("bfloat16", halved(job), "cuda:1")):
                rows[kind].append(tried(str(job), partial(alike, trial, each, device), mode, bool(only)))
    for name, do in rare(trial, student):
        rows["rare"].append(tried(name, do, mode, bool(only)))
    return rows


def large(mode: FakeCuda, folder: Path) -> dict[str, list[Row]]:
    """Some jobs at 224 px; the device made what they need."""
    own = {name: {"generator": "own"} for name in ("d4m_class", "igd", "mgd3", "minimax")}
    store = Trial([], folder).store("cuda")
    rows: dict[str, list[Row]] = {"large": [], "large, bfloat16": []}
    words = re.compile(rf"method ({'|'.join(LARGE)}) ")
    for job in plan(pictures(folder, 224), own).jobs.values():
        if job.kind in NEEDS or words.search(str(job)):
            for kind, each in zip(rows, (job, halved(job)), strict=True):
                do = partial(execute, store.root, each, "cuda")
                rows[kind].append(tried(str(job), do, mode))
    return rows


def summed(single: list[Row], half: list[Row]) -> str:
    """A table of kinds of jobs: how many, how many failed, what was called; and each job that failed, by name."""
    kinds: dict[str, list[int]] = {}
    for rows, at in ((single, 0), (half, 1)):
        for row in rows:
            each = kinds.setdefault(row.name.partition(" ")[0], [0, 0, 0])
            each[0] += 1 - at
            each[1] += bool(row.failed)
            each[2] += row.calls
    lines = [[kind, *(f"{number:,}" for number in numbers)] for kind, numbers in kinds.items()]
    failed = [f"- {row.name}: {row.failed}" for row in (*single, *half) if row.failed]
    return "\n".join([table(["kind", "jobs", "failed", "operations"], lines), *([""] if failed else []), *failed])


def section(rows: dict[str, list[Row]], seconds: float) -> str:
    """The text of the page."""
    tries = [row for kind, each in rows.items() if kind != "planted" for row in each]
    failed, caught = [row for row in tries if row.failed], [row for row in rows["planted"] if row.failed]
    head = ["float32", "operations", "waits"]
    return "\n\n".join(
        [
            f"`make cuda-check`: torch {torch.__version__}, Python {platform.python_version()}, no GPU and no driver, "
            f"{datetime.date.today()}, {seconds / 60:.1f} minutes of a core. Tensors on the device have shapes, types "
            "and places but no values. Jobs run whole, forward and backward, and the arrays that they leave have the "
            f"shapes of the CPU's. Of {len(tries)} jobs {len(failed)} failed; of {len(rows['planted'])} planted errors "
            f"{len(caught)} were refused. Waits are copies to the host and reads of values in the whole job.",
            "What is replaced so that jobs run:",
            "\n".join(f"- {what}: {how}." for what, how in REPLACED.items()),
            "Planted in a student's steps:",
            table(["error", "what was said"], [[row.name, row.cells[0]] for row in rows["planted"]]),
            "At 64 px, in float32 on `cuda` and in bfloat16 on `cuda:1`:",
            summed(rows["float32"], rows["bfloat16"]),
            "What these do not come to, with a student of `erm`:",
            table(["what", *head], [[row.name, *row.cells] for row in rows["rare"]]),
            "At 224 px, in both on `cuda`:",
            summed(rows["large"], rows["large, bfloat16"]),
        ]
    )


def main() -> None:
    """Try all, print, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="of the stores; a temporary one if left out")
    parser.add_argument("--only", default="", help="words in jobs' names: those at 64 px, told, and no page")
    given = parser.parse_args()
    if torch.version.cuda is None:
        sys.exit(f"torch {torch.__version__} is built without CUDA: install the default wheel for Linux from PyPI")
    start = time.process_time()
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for size in (64, 224):
            (folder / str(size)).mkdir(parents=True, exist_ok=True)
        stack.enter_context(mock.patch.object(Head, "off", lambda *_: 0.0))
        mode = stack.enter_context(fake_cuda())
        rows = small(mode, folder / "64", given.only)
        rows |= {} if given.only else large(mode, folder / "224")
    if not given.only:
        put("Fake CUDA", section(rows, time.process_time() - start))
    wrong = [row for row in rows.pop("planted") if not row.failed]
    wrong += (failed := [row for each in rows.values() for row in each if row.failed])
    for row in wrong:
        print(f"FAILED {row.name}: {row.failed or 'planted, and not refused'}")
    print(f"{sum(map(len, rows.values()))} jobs, {len(failed)} failed, {len(wrong) - len(failed)} errors not refused")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
