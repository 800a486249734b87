"""How near ``decoct plan`` comes to what a study takes: plan it from probes alone, run it, compare; by kind of job.

python benchmarks/plan.py --workers 1 2
python benchmarks/plan.py --study examples/fashion_mnist.toml --workers 2 --keep runs/bench/plan
python benchmarks/plan.py --kinds --study examples/fashion_mnist.toml --probe 300    # one job of each, no whole run

Seconds of the processors are the measure where other work disturbs the machine; on an idle one both agree.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from decoct.core.record import MEASURED, read_cost
from decoct.data.dataset import load_data
from decoct.report.read.manifest import Manifest
from decoct.report.sections.cost.planned import Compared, Planned, planned
from decoct.study.cell import hardware
from decoct.study.estimate.plan import Plan, make_plan
from decoct.study.estimate.probe import stand_in
from decoct.study.execute import describe, execute
from decoct.study.store.store import Store
from decoct.study.study import Study
from yardstick import table

TARGET = 1.5


def factor(found: float) -> float:
    """How far a ratio is from 1, whichever way."""
    return max(found, 1 / found)


def cells(kind: Compared) -> list[str]:
    """A row of the table."""
    numbers = [kind.cpu_expected, kind.cpu_taken], [kind.expected, kind.taken]
    return [
        kind.kind,
        f"{kind.jobs}",
        *(f"{value:.1f}" for value in numbers[0]),
        f"{kind.cpu_ratio:.2f}",
        *(f"{value:.1f}" for value in numbers[1]),
        f"{kind.ratio:.2f}",
    ]


HEAD = ["jobs of kind", "jobs", "processors planned, s", "taken, s", "times", "work planned, s", "taken, s", "times"]


def whole(study: Path | None, options: argparse.Namespace, workers: int, out: Path) -> str:
    """Plan and run a study; a section of the results."""
    fresh = not (out / "store").exists()
    asked = Study.from_toml(study) if study else Study.default()
    start = time.perf_counter()
    plan = make_plan(asked, load_data(asked.data, plugins=asked.plugins), workers=workers).probed(options.probe)
    probing = time.perf_counter() - start
    plan.write(out)
    words = [sys.executable, "-m", "decoct", "run", *([str(study)] if study else [])]
    words += ["--out", str(out), "--workers", str(workers), "--device", "cpu"]
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - start
    found = planned(Manifest.read(out))
    if found is None:
        sys.exit("the run does not fit its plan")
    said = [f"## {asked.name}, workers: {workers}", ""]
    said += [f"Probes took {probing:.0f} s; load while planning and running: {os.getloadavg()[0]:.1f}."]
    if fresh:
        said += [
            f"On the clock {plan.clock:.0f} s were planned, without the start of Python and the report; the command "
            f"took {took:.0f} s: {took / plan.clock:.2f} times."
        ]
    return "\n".join([*said, "", *shown(found), "", *plan.troubles])


def shown(found: Planned) -> Iterable[str]:
    """The table by kind, and whether the target is reached."""
    yield table(HEAD, [cells(kind) for kind in (*found.kinds, found.total)])
    cpu, wall = factor(found.total.cpu_ratio), factor(found.total.ratio)
    yield ""
    yield f"Within a factor of {cpu:.2f} by processors, {wall:.2f} by the clock (target: {TARGET})."


def one_of_each(study: Path | None, options: argparse.Namespace, scratch: Path) -> str:
    """Run the first job of each group of jobs to its end, on stand-ins for what it reads, beside its estimate."""
    asked = Study.from_toml(study) if study else Study.default()
    plan = make_plan(asked, load_data(asked.data, plugins=asked.plugins)).probed(options.probe)
    store, rows = Store(scratch), []
    seen = set[object]()
    for group in plan.groups:
        same = (group.kind, group.each)
        if group.each.cpu_seconds is None or group.each.cpu_seconds > options.most or same in seen:
            continue
        seen.add(same)
        job = plan.jobs[group.keys[0]]
        try:
            for key in job.inputs.values():
                stand_in(store, None, key, plan.jobs, "cpu")
            execute(store.root, job, "cpu")
        except Exception as error:
            rows.append([str(job), describe(error), "", "", "", "", ""])
            continue
        cost = read_cost(store.path(job.kind, job.key) / MEASURED)
        each = group.each
        rows.append(row_of(str(job), plan, each.cpu_seconds or 0.0, cost.cpu_seconds, each.seconds, cost.seconds))
        print(*rows[-1], file=sys.stderr, flush=True)
    head = ["job", "processors planned, s", "taken, s", "times", "work planned, s", "taken, s", "times"]
    return "\n".join([f"## {asked.name}: one job of each, on stand-ins", "", table(head, rows), "", *plan.troubles])


def row_of(job: str, plan: Plan, cpu: float, took_cpu: float, wall: float | None, took: float) -> list[str]:
    """A row of ``one_of_each``."""
    numbers = (cpu, took_cpu, took_cpu / cpu, wall or 0.0, took, took / (wall or 1.0))
    return [job, *(f"{number:.2f}" for number in numbers)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--study", type=Path, help="default: the built-in study")
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--probe", type=float, help="seconds; default: as decoct plan")
    arguments.add_argument("--keep", type=Path, help="folder of the runs; one that is there goes on")
    arguments.add_argument("--kinds", action="store_true", help="one job of each kind, not the whole study")
    arguments.add_argument("--most", type=float, default=30.0, help="with --kinds: no job that is planned longer")
    options = arguments.parse_args()
    print(f"`python benchmarks/plan.py {' '.join(sys.argv[1:])}` on {hardware('cpu')}.\n")
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder)
        if options.kinds:
            print(one_of_each(options.study, options, Path(folder) / "store"))
            return
        for workers in options.workers:
            print(whole(options.study, options, workers, root / f"workers-{workers}"), flush=True)


if __name__ == "__main__":
    main()
