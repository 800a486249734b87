"""How often the host waits for a device in a step: what a job waits for in more steps than another, by line of decoct.

On CUDA torch tells of every call that synchronises; elsewhere the stand-in of ``elsewhere`` counts what would.
"""

import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from decoct.core.budget import Budget
from decoct.core.spec import parse
from decoct.nets import zoo
from devices.elsewhere import NAME, elsewhere, place
from devices.jobs import IPC, SMALL, Trial, pictures, plan
from devices.rows import Rows
from devices.scale import Bench

CALLED = "called a synchronizing"  # how torch's warning begins
CONSTRUCTIONS = {"sre2l": "iterations", "edc": "iterations", "dm": "iterations", "mtt": "iterations", "mgd3": "steps"}
PROTOCOLS = ("erm", "single_teacher", "multi_teacher")
SHOWN = 3  # lines of decoct in a row


@dataclass
class Told:
    """Waits by line of decoct and by what torch called it."""

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)


@contextmanager
def told() -> Iterator[Told]:
    """A block in which torch's warnings of calls that synchronise are counted; others are passed over."""
    found, there = Told(), torch.cuda.is_available()

    def count(message: Warning | str, *_: Any) -> None:
        if str(message).startswith(CALLED):
            found.waits[place(), "synchronises"] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = count
        torch.cuda.set_sync_debug_mode("warn") if there else None
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default") if there else None


def waits(rows: Rows, bench: Bench) -> None:
    """A row for each of some constructions and trainings, made with few steps and with twice as many."""
    device = bench.device if bench.cuda else NAME
    by = "torch.cuda.set_sync_debug_mode" if bench.cuda else "`benchmarks/devices/elsewhere.py`, a stand-in for a GPU"
    rows.say(
        f"Counted by {by}: calls that make the host wait, in a job of few steps and in one of twice as many; a step's "
        "are the difference. Looks at the loss, one in ten steps of a construction and in fifty of a training, are "
        "among them. Everything at 64 px."
    )
    rows.table("By job", ["job", "steps", "waits", "of twice the steps", "a step", "most, by line"])
    data = pictures(bench.folder / "small", 64)
    planner = plan(data)
    random = planner.condense("random", parse("condenser", {"name": "random"}), Budget(ipc=IPC), 0)
    for name, steps in [*((each, 20) for each in CONSTRUCTIONS), *((each, 64) for each in PROTOCOLS)]:
        keys = []
        for count in (steps, 2 * steps):
            if name in CONSTRUCTIONS:
                fields = {key: value for key, value in SMALL[name].items() if key != "shards"}
                method = parse("condenser", {"name": name, **fields, CONSTRUCTIONS[name]: count})
                keys.append(planner.condense(name, method, Budget(ipc=IPC), 0).key)
            else:
                protocol = parse("protocol", {"name": name, "steps": count})
                keys.append(planner.train((name, protocol), zoo.student(data.size, 8), random).key)

        def make(keys: list[str] = keys, steps: int = steps) -> list[object]:
            trial = Trial(list(planner.jobs.values()), bench.folder / "small")
            jobs = [planner.jobs[key] for key in keys]
            trial.expected(jobs)
            few, more = (counted(trial, job, device, bench) for job in jobs)
            each = (sum(more.values()) - sum(few.values())) / steps
            most = (more - few).most_common(SHOWN)
            lines = ", ".join(f"`{line}` {what} {count / steps:.2f}" for (line, what), count in most)
            return [steps, sum(few.values()), sum(more.values()), f"{each:.2f}", lines]

        rows.row(name, make)


def counted(trial: Trial, job: Any, device: str, bench: Bench) -> Counter[tuple[str, str]]:
    """The waits of a job, which is made anew if it was made before."""
    shutil.rmtree(trial.folder / "waits" / job.key, ignore_errors=True)
    _, block = trial.make(job, device, told() if bench.cuda else elsewhere(), "waits")
    return Counter(block.waits)
