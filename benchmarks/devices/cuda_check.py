"""All of decoct on the device "cuda" without a GPU: fake tensors, the CUDA build of torch. See ``fake_cuda.py``.

    python benchmarks/devices/cuda_check.py --to docs/results/devices.md

Every job of ``jobs.py`` at 64 px, from inputs that the CPU made, in float32 and in bfloat16; those that are named in
``LARGE`` at 224 px, where nets are ResNets, from inputs made here. It goes on after a failure, and leaves with 1.
"""

import argparse
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import torch

from decoct.study.execute import execute
from decoct.study.jobs import Job
from fake_cuda import REPLACED, FakeCuda, fake_cuda
from jobs import Trial, pictures, plan
from same_studies import SMALL
from yardstick import table

LARGE = ("sre2l", "edc", "rded", "delt", "dm", "mgd3", "craig", "random", "erm", "single_teacher")
NEEDS = ("teacher", "statistics", "features", "generator", "dynamics", "trajectory", "labels")
OWN = {name: {**SMALL[name], "generator": "own"} for name in ("d4m", "igd", "mgd3", "minimax")}


@dataclass(frozen=True)
class Row:
    """A job that was tried: what it is, what failed, and what it asked of the device."""

    job: str
    failed: str
    calls: int
    waits: int
    seconds: float


def tried(name: str, do: Callable[[], object], mode: FakeCuda, loud: bool) -> Row:
    """Do a job in the mode; a failure is told and noted."""
    mode.calls.clear()
    mode.waits.clear()
    start, failed = time.perf_counter(), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            do()
        if not mode.calls:
            failed = "nothing was computed on the device" if "condense" not in name else ""
    except Exception as error:
        failed = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
        if loud:
            traceback.print_exc()
    row = Row(name, failed, mode.calls.total(), mode.waits.total(), time.perf_counter() - start)
    print(f"{row.seconds:6.1f} s  {row.calls:8,} {row.waits:6,}  {name}  {failed or 'ok'}", flush=True)
    return row


def halved(job: Job) -> Job:
    """The job in bfloat16."""
    compute = {**job.keyed["compute"], "precision": "bfloat16"}
    return Job.model_validate({**job.model_dump(), "keyed": {**job.keyed, "compute": compute}})


def small(mode: FakeCuda, folder: Path, only: list[str], loud: bool) -> list[Row]:
    """All jobs at 64 px, in both precisions."""
    jobs = list(plan(pictures(folder, 64)).jobs.values())
    trial, rows = Trial(jobs, folder), []
    trial.expected()  # made before, or without what is fake
    for precision, change in (("float32", lambda job: job), ("bfloat16", halved)):
        for job in jobs:
            name = f"64 px, {precision}: {job}"
            if all(word in name for word in only):
                rows.append(tried(name, lambda job=job: alike(trial, change(job)), mode, loud))
    return rows


def alike(trial: Trial, job: Job) -> None:
    """Do a job on the device; what it leaves must have the names and shapes of what the CPU left."""
    apart, _ = trial.on(job, "cuda")
    if strange := [file for file, distance in apart.items() if distance == float("inf") and file[-5:] != ".json"]:
        raise ValueError(f"names or shapes are not those of the CPU: {', '.join(strange)}")


def large(mode: FakeCuda, folder: Path, only: list[str], loud: bool) -> list[Row]:
    """Some jobs at 224 px, all on the device."""
    trial, rows = Trial(list(plan(pictures(folder, 224), OWN).jobs.values()), folder), []
    words = re.compile(rf"method ({'|'.join(LARGE)}) ")
    store = trial.store("cuda")
    for job in trial.jobs:
        name = f"224 px, float32: {job}"
        if all(word in name for word in only) and (job.kind in NEEDS or words.search(str(job))):
            rows.append(tried(name, lambda job=job: execute(store.root, job, "cuda"), mode, loud))
    return rows


def main() -> None:
    """Try all, print, write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="of the stores; a temporary one if left out")
    parser.add_argument("--only", nargs="*", default=[], help="words that a job's name must have")
    parser.add_argument("--to", type=Path, help="the page that gets the section")
    given = parser.parse_args()
    if torch.version.cuda is None:
        sys.exit(f"torch {torch.__version__} is built without CUDA: install Linux's default wheel, pip install torch")
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        rows = []
        for size, run in ((64, small), (224, large)):
            (folder / str(size)).mkdir(parents=True, exist_ok=True)
            with fake_cuda() as mode:
                rows += run(mode, folder / str(size), given.only, bool(given.only))
    failed = [row for row in rows if row.failed]
    for row in failed:
        print(f"FAILED {row.job}: {row.failed}")
    print(f"{len(rows)} jobs, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
