"""How often the host waits in a step: ``python benchmarks/devices/steps.py [BEFORE.json]``.

Each job that takes steps is done twice on the device that is none (``elsewhere.py``): as it is, and with twice as many
steps. What it waits for more often is what it waits for in its steps. Each batch of a training is made by itself here,
as where a batch has 256 images.
"""

import argparse
import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.training import batches, loop, relabel
from devices.elsewhere import elsewhere
from devices.jobs import SMALL, Trial, pictures, plan

Lines = Counter[tuple[str, str]]

STEPS = {  # fields that say how many steps a job takes, by its kind
    "condense": ("iterations", "steps"),
    **dict.fromkeys(("train", "labels"), ("steps",)),
    **dict.fromkeys(("teacher", "dynamics", "out_of_sample", "trajectory", "generator"), ("epochs",)),
}
NETS: dict[str, Any] = {"nets": ("convnet2_bn", "convnet3_bn")}
FEW: dict[str, dict[str, Any]] = {  # quicker than ``SMALL``; a step in each round; and no look at the loss but the last
    **{"cv_dd": NETS, "fadrm": NETS, "edc": NETS | {"iterations": 2}, "g_vbsm": NETS | {"iterations": 2}},
    **{"delt": {"iterations": 2, "rounds": 2}, "minimax": {"iterations": 3, "steps": 2, "phase": 3}},
    **{name: {"iterations": 1} for name in ("dc", "dsa", "datm")},
    "mtt": {"iterations": 1, "lr_lr": 1e-7},  # its rate stays above 0
    **{name: {"steps": 2} for name in ("d4m_class", "igd", "mgd3")},
}


def planned(folder: Path, size: int) -> Planner:
    """All jobs, with as many steps as show in twice as many what a step waits for."""
    return plan(pictures(folder, size), {name: SMALL[name] | fields for name, fields in FEW.items()})


def longer(job: Job) -> Job | None:
    """The job with twice as many steps, which is another job; None for one that takes none."""
    fields = [name for name in STEPS.get(job.kind, ()) if job.config.get(name)]
    config = job.config | {name: 2 * job.config[name] for name in fields}
    return Job(**job.model_dump() | {"config": config, "keyed": job.keyed | {"longer": True}}) if fields else None


@contextmanager
def by_steps() -> Iterator[None]:
    """A block in which a batch is made in its step, and no loss is looked at because time went by."""
    with (
        mock.patch.object(batches, "AHEAD", 1),
        mock.patch.object(relabel, "AHEAD", 1),
        mock.patch.object(loop, "PAUSE", math.inf),
    ):
        yield


def more(trial: Trial, job: Job, other: Job) -> tuple[Lines, Lines]:
    """What twice as many steps wait for more often: for values, and for what they send."""
    few, many = (trial.make(each, "meta", elsewhere(), "waits")[1] for each in (job, other))
    return many.waits - few.waits, many.uploads - few.uploads


def title(job: Job) -> str:
    """What a job is called in the table."""
    names = [str(job.labels[name]) for name in ("method", "protocol", "net", "generator") if name in job.labels]
    return f"{job.kind} {names[-1]}" if job.kind != "condense" else names[0]


def table(found: Mapping[str, list[int]], before: Mapping[str, list[int]]) -> Iterator[str]:
    """Markdown: what each job waits for more often with twice as many steps, over the steps that are more."""
    yield "| job | steps more | waits a step | before | blocking copies a step | before |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, (steps, *now) in found.items():
        _, *then = before.get(name, [steps, *now])
        cells = [f"{count / steps:.3g}" for pair in zip(now, then, strict=True) for count in pair]
        yield f"| {name} | {steps} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table, and above it the lines; ``BEFORE.json`` is what ``--json`` wrote for another checkout."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("before", type=Path, nargs="?", help="what --json wrote for another checkout")
    options.add_argument("--json", type=Path, help="where to write the numbers")
    asked, found = options.parse_args(), {}
    with tempfile.TemporaryDirectory() as folder, by_steps():
        trial = Trial(list(planned(Path(folder), 16).jobs.values()), Path(folder))
        trial.expected()
        for job in trial.jobs:
            if other := longer(job):
                waits, uploads = more(trial, job, other)
                field = next(name for name in STEPS[job.kind] if job.config.get(name))
                found[title(job)] = [int(job.config[field]), waits.total(), uploads.total()]
                for name, lines in (("wait", waits), ("blocking copy", uploads)):
                    for (line, operation), count in lines.most_common():
                        print(f"{title(job)}: {name} {count} × {operation} at {line}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found), "utf-8")
    print(*table(found, json.loads(asked.before.read_text("utf-8")) if asked.before else {}), sep="\n")


if __name__ == "__main__":
    main()
