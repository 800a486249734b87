"""Many runs of one study on one store at once: their results are equal, and none waits for another.

    python benchmarks/crowd.py --runs 20

Each is `decoct run` in a process of its own, which writes down when each job began and ended, and whether it made the
cell or found it there. All begin when the last has loaded its libraries. At the end the tables of all runs must be
equal byte for byte, and cells and results those of a run alone, but for what was measured. A run *waits* while it makes
nothing, between its first job and its last.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kills import contents
from yardstick import table

STUDY = """
name = "crowd"
students = ["convnet1_w8"]
budgets = [{ipc = 1}, {ipc = 10}]
replicates = {condense = 3}
condensers = ["random", "herding", {name = "el2n", net = "convnet1_w8", epochs = 2, runs = 2}]
protocols = [{name = "erm", steps = 20}]
metrics = {names = ["cost"]}
"""
SHARED, ALONE = "shared", "alone"


class Noted(NamedTuple):
    """A job of a run: its key, seconds of the machine's monotonic clock, and whether the run made the cell."""

    key: str
    begin: float
    end: float
    made: bool


def wait(jobs: Sequence[Noted]) -> float:
    """Seconds of the longest time in which a run made nothing, between its first job and its last."""
    longest, at = 0.0, jobs[0].begin
    for job in jobs:
        if job.made:
            longest, at = max(longest, job.begin - at), job.end
    return max(longest, jobs[-1].end - at)


def inside(log: Path, words: list[str]) -> None:
    """``decoct run``, in a process of a crowd."""
    from decoct.cli import main
    from decoct.core.record import Cost
    from decoct.study import execute as module
    from decoct.study.jobs import Job

    plain = module.execute

    def noted(where: str, job: Job, device: str) -> Cost | None:
        begin = time.monotonic()
        cost = plain(where, job, device)
        with log.open("a") as file:
            file.write(json.dumps(Noted(job.key, begin, time.monotonic(), cost is not None)) + "\n")
        return cost

    module.execute = noted
    print("ready", flush=True)
    sys.stdin.readline()
    sys.argv = ["decoct", *words]
    main()


def crowd(study: Path, outs: Sequence[Path], store: Path) -> tuple[float, list[list[Noted]]]:
    """Run a study in several processes at once; when they began, and the jobs of each."""
    logs, begun = [out.with_suffix(".jobs") for out in outs], []
    for out, log in zip(outs, logs, strict=True):
        words = ["--inside", log, "run", study, "--out", out, "--store", store, "--workers", "1", "--json"]
        with out.with_suffix(".log").open("w") as said:
            command = [sys.executable, __file__, *map(str, words)]
            begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said))
    for each in begun:
        each.stdout.readline()
    start = time.monotonic()
    for each in begun:
        each.stdin.write(b"\n")
        each.stdin.flush()
    for each, out in zip(begun, outs, strict=True):
        each.communicate()
        if each.returncode:
            raise SystemExit(out.with_suffix(".log").read_text("utf-8"))
    return start, [[Noted(*json.loads(line)) for line in log.read_text().splitlines()] for log in logs]


def differences(outs: Sequence[Path], store: Path, out: Path, alone: Path) -> list[str]:
    """What the runs on one store have otherwise than each other, and than the one alone."""
    from decoct.study.run import TABLES

    ours, theirs = (
        {name: each for name, each in contents(place).items() if not name.startswith("studies")}
        for place in (store, alone)
    )
    found = [f"not as alone: {name}" for name in sorted(ours.keys() | theirs) if ours.get(name) != theirs.get(name)]
    for name in TABLES:
        several = {(each / name).read_bytes() for each in outs}
        found += [f"{len(several)} different {name}"] if len(several) > 1 else []
    same = (outs[0] / "results.csv").read_bytes() == (out / "results.csv").read_bytes()
    return found if same else [*found, "results.csv is not as alone"]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=20)
    given = asked.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["DECOCT_STORE"] = str(folder / "cache")  # all read the data at once as well
        study, outs = folder / "crowd.toml", [folder / f"run-{n}" for n in range(given.runs)]
        study.write_text(STUDY, "utf-8")
        start, runs = crowd(study, outs, folder / SHARED)
        minutes = (time.monotonic() - start) / 60
        crowd(study, [folder / "one"], folder / ALONE)
        found = differences(outs, folder / SHARED, folder / "one", folder / ALONE)
    made = Counter(job.key for jobs in runs for job in jobs if job.made)
    job, waited = max(job.end - job.begin for jobs in runs for job in jobs), max(map(wait, runs))
    rows = [
        ["jobs", len(made)],
        ["of these made once", sum(n == 1 for n in made.values())],
        ["made in all, by all runs", made.total()],
        ["most runs that made one job", max(made.values())],
        ["seconds until the last run began its first job", f"{max(jobs[0].begin for jobs in runs) - start:.1f}"],
        ["seconds of the longest job", f"{job:.1f}"],
        ["longest wait of a run, seconds", f"{waited:.1f}"],
        ["of it beyond the longest job", f"{max(0.0, waited - job):.1f}"],
        ["minutes", f"{minutes:.1f}"],
    ]
    print(table([f"{given.runs} runs at once", ""], rows))
    if found:
        sys.exit("\n".join(["", *found[:20]]))
    print("\nAll tables of all runs are equal byte for byte; cells and `results.csv` are those of a run alone.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
