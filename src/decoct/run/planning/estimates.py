"""What a job will take, from what is known of jobs that are like it: cells of earlier runs, and probes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.kinds import Task
from decoct.core.once import Spent
from decoct.core.record import CELL, MEASURED, read_cost, read_json
from decoct.core.spec import digest, parse
from decoct.data.dataset import Dataset
from decoct.run.jobs import Job

MUCH = ("as_long_as", "counts", "budget")  # of what is keyed: how much is done, not what
OTHER = ("seed", "classes", "spec")  # makes no difference, or is said otherwise
LENGTHS = ("epochs", "full_epochs", "steps", "iterations")  # fields that say for how long, whatever the method
GROWING = ("condense", "shard", "labels")  # kinds whose cells grow with the budget
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


class Likeness(NamedTuple):
    """What a job is like, and how much of it there is.

    Attributes:
        kind: of the job.
        same: digest of what is done, with how much, on which data: such jobs differ in their seed alone, or in the
            method of the set that they read.
        work: the same whatever the amount: numbers of images, steps and draws.
        amount: in images that are looked at; None where nobody says.
    """

    kind: str
    same: str
    work: str
    amount: float | None


class Estimate(NamedTuple):
    """What a job took, or is expected to take; None where that is unknown.

    Attributes:
        seconds, cpu_seconds: of work, on the clock and of its processors.
        overhead: seconds around the work: inputs are read, a student is evaluated, the cell is written.
        bytes, peak: of its cell, and of memory.
        source: earlier results, a probe, both, or none.
        sure: "sure": the same job with another seed ran to its end. "fair": it was carried on from a part. "rough":
            scaled from another amount of the same work. "unknown".
    """

    seconds: float | None = None
    cpu_seconds: float | None = None
    overhead: float | None = None
    bytes: float | None = None
    peak: int | None = None
    source: str = "none"
    sure: str = "unknown"


class Known(NamedTuple):
    """What one job took, and what its process worked out besides for all jobs that follow it."""

    like: Likeness
    took: Estimate
    once: Spent = Spent(0.0, 0.0)
    process: int | str = ""


class Estimates:
    """Estimates of jobs by what they are like."""

    def __init__(self, known: Iterable[Known]) -> None:
        self.known = list(known)
        self._alike: dict[str, list[Known]] = defaultdict(list)
        for one in self.known:
            self._alike[one.like.same].append(one)
            self._alike[one.like.work].append(one)

    def of(self, like: Likeness) -> Estimate:
        """What a job like that is expected to take: the median of the same, else of the nearest amount, scaled."""
        own, factor = self._alike.get(like.same, []), 1.0
        if scaled := not own:
            asked, amounts = like.amount, [one.like.amount for one in self._alike.get(like.work, ()) if one.like.amount]
            if not asked or not amounts:
                return Estimate()
            nearest = min(amounts, key=lambda amount: abs(math.log(amount / asked)))
            own = [one for one in self._alike[like.work] if one.like.amount == nearest]
            factor = asked / nearest

        def said(what: str) -> list[float]:
            return [value for one in own if (value := getattr(one.took, what)) is not None]

        sizes, peaks, sources = said("bytes"), said("peak"), {one.took.source for one in own}
        ended = any(one.took.sure == "sure" for one in own)
        return Estimate(
            factor * median(said("seconds")),
            factor * median(said("cpu_seconds")),
            median(said("overhead")),
            fmean(sizes) if sizes and not (scaled and like.kind in GROWING) else None,
            int(max(peaks)) if peaks else None,
            source="both" if len(sources) > 1 else sources.pop(),
            sure="rough" if scaled else "sure" if ended else "fair",
        )

    @property
    def once(self) -> tuple[Spent, frozenset[str]]:
        """What a process works out once for all its jobs, by the one that took longest; kinds of jobs that need it."""
        processes: dict[int | str, list[Spent]] = defaultdict(list)
        for one in self.known:
            processes[one.process].append(one.once)
        most = max((Spent(*map(sum, zip(*own, strict=True))) for own in processes.values()), default=Spent(0.0, 0.0))
        return most, frozenset(one.like.kind for one in self.known if one.once.seconds)


def likeness(job: Job, of: Callable[[str], Job | None], data: Dataset) -> Likeness:
    """What a job is like; ``of`` gives the job behind a key of its inputs, or None where that is not known."""
    keyed, source = job.keyed, of(job.inputs.get("condensed", ""))
    roles = sorted(role for role in job.inputs if not role.startswith("shard:"))
    spec = keyed.get("spec") or {}
    fields = spec.get("fields", {})
    what = {name: value for name, value in keyed.items() if name not in (*MUCH, *OTHER)}
    what |= {"kind": job.kind, "roles": roles, "parts": len(roles) < len(job.inputs)}
    what |= {"spec": spec | {"fields": {name: value for name, value in fields.items() if name not in LENGTHS}}}
    budget = keyed.get("budget") or (source.keyed.get("budget") if source else None)
    much = {name: keyed.get(name) for name in MUCH} | {name: fields.get(name) for name in LENGTHS}
    much |= {"budget": budget, "of": len(keyed.get("classes") or ())}
    try:
        amount = _amount(job, Budget(**budget) if budget else None, data)
    except (DecoctError, KeyError, TypeError, ValueError, ArithmeticError):
        amount = None  # a plug-in that is not at hand, or fields of another version
    return Likeness(job.kind, digest([what, much]), digest(what), amount)


def _amount(job: Job, budget: Budget | None, data: Dataset) -> float:
    """Images of all steps of a student; else those of the set, or of the train split, as often as fields say."""
    keyed, train, classes = job.keyed, len(data.train), len(data.class_names)
    fields = keyed["spec"]["fields"] if keyed.get("spec") else {}
    images = budget.total(train, classes) if budget else sum(keyed.get("counts", ())) or train
    if job.kind in ("train", "labels"):
        protocol = parse("protocol", {"name": keyed["spec"]["name"], **fields}, job.plugins)
        recipe = protocol.recipe(Task(images, classes, data.size, data.flip, ceiling=budget is None))
        if keyed.get("as_long_as"):
            small = Budget(**keyed["as_long_as"]).total(train, classes)
            recipe = recipe.lasting(protocol.recipe(Task(small, classes, data.size, data.flip)).steps)
        return float(recipe.steps * recipe.batch)
    share = len(keyed.get("classes") or data.class_names) / classes
    return float(images * share * math.prod(fields[name] for name in LENGTHS if fields.get(name)))


def earlier(
    root: Path, data: Dataset, device: str, hardware: str, plugins: tuple[str, ...] = ()
) -> tuple[list[Known], list[str]]:
    """What the cells of a store took that the same hardware made from the same data, and which others say nothing."""
    jobs, known, damaged, elsewhere = dict[str, Job](), list[Known](), list[Path](), 0
    folders = {file.parent.name: file.parent for file in sorted(root.glob(f"[a-z]*/??/*/{CELL}"))}
    for key, folder in folders.items():  # sets come before their students
        try:
            jobs[key] = job = Job.model_construct(**read_json(folder / CELL), plugins=plugins)
            if "external" in job.keyed:
                continue  # nobody knows what it took
            cost = read_cost(folder / MEASURED)
            if cost.hardware != hardware or cost.device.partition(":")[0] != device.partition(":")[0]:
                elsewhere += 1
            elif job.keyed["data"] == data.digest:
                own = cost.seconds - cost.once, cost.cpu_seconds - cost.cpu_once, cost.around, size_of(folder)
                took = Estimate(*own, cost.peak_memory, "earlier", "sure")
                known.append(Known(likeness(job, jobs.get, data), took, Spent(cost.once, cost.cpu_once), key))
        except UNREADABLE:
            damaged.append(folder)
    said = [f"{elsewhere} results in {root} are from other hardware and say nothing of this one"] if elsewhere else []
    more = f", and {len(damaged) - 1} more" if damaged[1:] else ""
    mend = f"`decoct verify --repair {root}` removes what is"
    return known, said + [f"not read, since damaged: {first}{more}; {mend}" for first in damaged[:1]]


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
