"""How often the host waits in a step: ``python benchmarks/devices/steps.py``.

Each job that takes steps is done twice on the device that is none (``elsewhere.py``): as it is, and with twice as many
steps. What it waits for more often is what it waits for in its steps. Each batch of a training is made by itself here,
as where a batch has 256 images.
"""

import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
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
    **dict.fromkeys(("teacher", "dynamics", "trajectory", "generator"), ("epochs",)),
}
NETS = ("convnet2_bn", "convnet3_bn")
FEW: dict[str, dict[str, Any]] = {  # quicker than ``SMALL``; a step in each round; and no look at the loss but the last
    **dict.fromkeys(("cv_dd", "fadrm"), {"nets": NETS}),
    **dict.fromkeys(("edc", "g_vbsm"), {"nets": NETS, "iterations": 2}),
    **{"delt": {"iterations": 8}, "minimax": {"iterations": 3, "steps": 2, "phase": 3}},
    **dict.fromkeys(("dc", "dsa"), {"iterations": 1}),
    **dict.fromkeys(("d4m", "igd", "mgd3"), {"steps": 2}),
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


def main() -> None:
    """Print what each job waits for in its steps, of those whose name has all the words that are given."""
    with tempfile.TemporaryDirectory() as folder, by_steps():
        trial = Trial(list(planned(Path(folder), 16).jobs.values()), Path(folder))
        trial.expected()
        for job in trial.jobs:
            if (other := longer(job)) and all(word in str(job) for word in sys.argv[1:]):
                waits, uploads = more(trial, job, other)
                print(job, sum(waits.values()), sum(uploads.values()), flush=True)
                for name, lines in (("wait", waits), ("upload", uploads)):
                    for (line, operation), count in lines.most_common():
                        print(f"    {name} {count:4} {operation:22} {line}", flush=True)


if __name__ == "__main__":
    main()
