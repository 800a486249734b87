"""What a job is like: which jobs take as long as it does, and how its time grows with the amount of its work."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.kinds import Task
from decoct.core.spec import digest, parse
from decoct.engine.recipe import Recipe
from decoct.needs.teacher import Teach
from decoct.needs.trajectory import Trajectories

MUCH = ("as_long_as", "counts", "draws", "resamples")  # of what is keyed: how much is done, not what
SEEDS = ("seed", "data", "budget", "classes", "spec")  # the same, or no matter, or said otherwise
LENGTHS = ("epochs", "full_epochs", "steps", "iterations")  # fields that say for how long, whatever the method


class Work(Protocol):
    """A job, planned or done long ago: what a cell says of itself."""

    @property
    def kind(self) -> str:
        """What ``execute`` does."""

    @property
    def keyed(self) -> Mapping[str, Any]:
        """Everything that decides the result."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Keys of the cells that it reads, by role."""


@dataclass(frozen=True)
class Shape:
    """As much of a data set as decides how long work on it takes.

    Attributes:
        counts: train images of each class.
        val: images of the val split.
        image: (C, H, W).
        flip: whether training may mirror the images.
    """

    counts: tuple[int, ...]
    val: int
    image: tuple[int, ...]
    flip: bool

    @cached_property
    def train(self) -> int:
        """Images of the train split."""
        return sum(self.counts)

    def task(self, images: int | None = None, ceiling: bool = False) -> Task:
        """What a recipe is asked for; ``images`` stands for those of a set."""
        count = images or self.train
        return Task(count, len(self.counts), self.image[-1], self.flip, ceiling=ceiling)


class Likeness(NamedTuple):
    """Jobs that are alike in ``same`` differ in their seed alone; see ``likeness``.

    Attributes:
        kind: of the job.
        same: digest of what is done, with how much, on which data, to a set of which method.
        set_aside: the same whatever the method of the set.
        work: the same whatever the amount: numbers of images, steps and draws.
        amount: how much is done, in a unit of the kind's own, such as images × epochs; None where nobody says.
    """

    kind: str
    same: str
    set_aside: str
    work: str
    amount: float | None


def likeness(job: Work, of: Callable[[str], Work | None], shape: Shape, plugins: tuple[str, ...] = ()) -> Likeness:
    """What a job is like.

    Args:
        job: planned, or done.
        of: the job behind a key of its inputs; None where that is not known.
        shape: of its data.
        plugins: files that may define its spec.
    """
    keyed, source = job.keyed, of(job.inputs.get("condensed", ""))
    roles = sorted(role for role in job.inputs if not role.startswith("shard:"))
    what = {name: value for name, value in keyed.items() if name not in (*MUCH, *SEEDS)}
    spec = keyed.get("spec") or {}
    fields = spec.get("fields", {})
    lasting = {name: value for name, value in fields.items() if name in LENGTHS}
    kept = {name: value for name, value in fields.items() if name not in LENGTHS}
    what |= {"kind": job.kind, "spec": spec | {"fields": kept}, "roles": roles, "parts": len(roles) < len(job.inputs)}
    what |= {"image": list(shape.image), "classes": len(shape.counts)}
    much: dict[str, Any] = {name: keyed[name] for name in MUCH if name in keyed}
    budget = keyed.get("budget") or (source.keyed.get("budget") if source else None)
    much |= {"budget": budget, "of": len(keyed["classes"]) if keyed.get("classes") else None}
    much |= {"counts of data": list(shape.counts), "val": shape.val, "lasting": lasting}
    work = digest(what)
    aside = digest([work, much])
    method = source.keyed.get("spec") if source else None
    images = Budget(**budget).total(shape.train, len(shape.counts)) if budget else None
    return Likeness(job.kind, digest([aside, method]), aside, work, _amount(job, images, shape, plugins))


def _amount(job: Work, images: int | None, shape: Shape, plugins: tuple[str, ...]) -> float | None:
    """In images that are looked at: those of every step of a training, of the train split, or of the set."""
    keyed, spec = job.keyed, job.keyed.get("spec") or {}
    try:
        if job.kind in ("features", "statistics"):
            return float(shape.train + shape.val)
        if job.kind in ("teacher", "dynamics", "trajectory"):
            fields = spec["fields"]
            trained: Teach | Trajectories = Trajectories(**fields) if job.kind == "trajectory" else Teach(**fields)
            return _seen(trained.recipe(shape.task(ceiling=True)))
        if job.kind in ("condense", "shard"):
            method = parse("condenser", {"name": spec["name"], **spec["fields"]}, plugins)
            of = len(keyed.get("classes") or shape.counts) / len(shape.counts)
            steps = math.prod(getattr(method, name) for name in LENGTHS if getattr(method, name, None))
            return float(of * steps * (shape.train if method.family == "coreset" else images or math.nan))
        if job.kind in ("train", "labels"):
            protocol = parse("protocol", {"name": spec["name"], **spec["fields"]}, plugins)
            recipe = protocol.recipe(shape.task(images, ceiling=images is None))
            if keyed.get("as_long_as"):
                small = Budget(**keyed["as_long_as"]).total(shape.train, len(shape.counts))
                recipe = recipe.lasting(protocol.recipe(shape.task(small)).steps)
            return _seen(recipe)
        if job.kind == "measure":
            return float(images or math.nan)
        if job.kind == "reference":
            return float(sum(keyed["counts"]) * keyed["draws"])
    except (DecoctError, KeyError, TypeError, ValueError, ArithmeticError):
        return None  # a plug-in that is not at hand, or fields of another version
    return None


def _seen(recipe: Recipe) -> float:
    return float(recipe.steps * recipe.batch)
