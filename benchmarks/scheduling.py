"""The overhead around jobs: 1,000 trivial jobs in each place, and 100,000 jobs planned.

python benchmarks/scheduling.py --jobs 1000 --planned 100000

A trivial job picks ten random digits. It takes the whole way of a real one: it is keyed, handed out, checked against
the store, run with its data under its meter, written, synced, renamed. A plan is all that ``decoct run`` does before
its first job: every job of the study with its key, the manifest, what the store lacks, and the graph.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from graphlib import TopologicalSorter
from multiprocessing import get_context
from pathlib import Path

from decoct.core.record import MEASURED, read_json, write_json
from decoct.core.scratch import replace
from decoct.data.dataset import load_data
from decoct.study.drive import Driver
from decoct.study.expand import expand
from decoct.study.jobs import Job
from decoct.study.run import _manifest
from decoct.study.store.store import Store
from decoct.study.study import Study
from decoct.study.workers.place import Place
from yardstick import table

PLACES = (("inline", 1), ("pool", 1), ("pool", 2), ("ray", 1), ("ray", 2))


def trivial(jobs: int) -> list[Job]:
    """So many sets of ten random digits, and nothing that is done with them."""
    table = {"name": "trivial", "budgets": [{"ipc": 1}], "condensers": ["random"], "protocols": ["erm"]}
    study = Study.from_dict(
        table
        | {"replicates": {"condense": jobs}, "metrics": {"names": []}, "ceiling": False, "students": ["convnet1_w8"]}
    )
    return [job for job in expand(study, load_data("digits")) if job.kind == "condense"]


def drive(jobs: list[Job], on: str, workers: int) -> list[str]:
    """A row: how long the driver was at it from its first finished job to its last, and what of it was work."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store"))
        store.prepare()
        place = Place(on=on, workers=workers)  # type: ignore[arg-type]
        done: list[float] = []
        begin = time.perf_counter()
        driver = Driver(
            store,
            place.executors(1, store, jobs),
            place.at_once,
            on_done=lambda job, error: done.append(time.perf_counter()),
        )
        if failed := driver.run(jobs):
            sys.exit(f"{on}: {next(iter(failed.values()))}")
        work = sum(read_json(store.path(job.kind, job.key) / MEASURED)["seconds"] for job in jobs)
    # A second worker takes a while to import torch, so the rate is that of the last half.
    half = len(done) // 2
    rate = (done[-1] - done[half]) / (len(done) - 1 - half)
    return [
        *(on, str(workers), f"{done[0] - begin:.1f}", f"{1000 * rate:.1f}"),
        *(f"{1000 * (done[-1] - done[0]) / (len(done) - 1):.1f}", f"{1000 * work / len(jobs):.1f}", "≤ 20"),
    ]


def prepare(jobs: int) -> list[list[str]]:
    """Rows: seconds of each step before the first job of a large study, and the peak of memory, in a fresh process."""
    base = Study.default()
    each = len(base.methods()) * len(base.budgets) * (2 + len(base.recipes()) * len(base.students))
    study = base.model_copy(update={"replicates": base.replicates.model_copy(update={"condense": 1 + jobs // each})})
    while True:  # deterministic methods have one set, so a replicate is fewer jobs than it seems
        data = load_data(study.data)
        begin, busy = time.perf_counter(), time.process_time()
        made = expand(study, data)
        if len(made) >= jobs:
            break
        more = 1 + study.replicates.condense * jobs // len(made)
        study = study.model_copy(update={"replicates": study.replicates.model_copy(update={"condense": more})})
        del made
    rows, whole = [], [begin, busy]

    def step(name: str, do: Callable[[], object]) -> None:
        nonlocal begin, busy
        do()
        now, worked = time.perf_counter(), time.process_time()
        rows.append([name, f"{now - begin:.1f}", f"{worked - busy:.1f}", ""])
        begin, busy = now, worked

    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store"))
        store.prepare()
        driver = Driver(store, Place().executors(1, store, made))
        step(f"{len(made):,} jobs with their keys", lambda: None)
        manifest = _manifest(study, data, made, [])
        step("`run.json`", lambda: replace(Path(folder) / "run.json", lambda path: write_json(path, manifest)))
        todo = driver.missing(made)
        step("what the store lacks", lambda: None)

        def order() -> None:
            inputs = {key: [i for i in job.inputs.values() if i in todo] for key, job in todo.items()}
            TopologicalSorter(inputs).prepare()

        step("the graph", order)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    total = [time.perf_counter() - whole[0], time.process_time() - whole[1]]
    rows.append(["all", f"{total[0]:.1f}", f"{total[1]:.1f}", "< 10 s"])
    return [*rows, ["peak memory of the process, MiB", f"{peak:.0f}", "", "< 1,024"]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=1000)
    arguments.add_argument("--planned", type=int, default=100_000)
    options = arguments.parse_args()
    with get_context("spawn").Pool(1) as fresh:
        prepared = fresh.apply(prepare, (options.planned,))
    jobs = trivial(options.jobs)
    heads = [
        "place",
        "workers",
        "first job after, s",
        "ms a job, last half",
        "ms a job, all",
        "of it work, ms",
        "target",
    ]
    print(f"{options.jobs:,} jobs that pick ten random digits each.\n")
    print(table(heads, [drive(jobs, on, workers) for on, workers in PLACES]))
    print("\nThe built-in study with as many replicates as it takes, before its first job runs.\n")
    print(table(["step", "wall, s", "processor, s", "target"], prepared))


if __name__ == "__main__":
    main()
