"""A smaller study that fits a time: fewer replicates first, then fewer budgets, students and methods."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from decoct.core.budget import Budget
from decoct.run.study import Replicates, Study

FEWEST = 3  # condense replicates below which intervals say next to nothing
REFERENCE = "random"  # what every verdict is set beside


class Takes(NamedTuple):
    """What a study takes, as far as that is known.

    Attributes:
        seconds: on the clock, of the jobs that have an estimate.
        known: jobs to do that have one.
        unknown: jobs to do that have none.
    """

    seconds: float
    known: int
    unknown: int = 0

    def within(self, limit: float) -> bool | None:
        """Whether it fits; None where that cannot be said, since what is known fits and there is more."""
        return False if self.seconds > limit else None if self.unknown else True


Clock = Callable[[Study], Takes]


@dataclass(frozen=True)
class Step:
    """One thing to leave out.

    Attributes:
        what: in words.
        saves: seconds on the clock.
    """

    what: str
    saves: float


@dataclass(frozen=True)
class Proposal:
    """A smaller study.

    Attributes:
        study: the whole of it.
        asked: what the study that was asked for takes.
        takes: what this one takes.
        limit: seconds that it was to fit.
        steps: from the study that was asked for to this one, in order.
        toml: the keys to change.
    """

    study: Study
    asked: Takes
    takes: Takes
    limit: float
    steps: tuple[Step, ...]
    toml: str

    @property
    def met(self) -> bool | None:
        """Whether it fits; None where that cannot be said."""
        return self.takes.within(self.limit)

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        steps = [{"what": step.what, "saves": step.saves} for step in self.steps]
        said = {"met": self.met, "fits_as_it_is": self.asked.within(self.limit), **self.takes._asdict()}
        return said | {"limit": self.limit, "steps": steps, "toml": self.toml}


def propose(study: Study, limit: float, clock: Clock) -> Proposal:
    """The first of ever smaller studies that fits, or whose known jobs do; the smallest of all if none does.

    Condense replicates are taken down to three, then train replicates to one; then the largest budget goes, again and
    again, then the student, then the method that saves most. ``random``, one other method, one student and one budget
    stay. What is left of the time is given back to the replicates.

    Args:
        study: what was asked for.
        limit: seconds.
        clock: what a study takes.
    """
    asked = takes = clock(study)
    now, steps = study, list[Step]()
    while takes.seconds > limit:
        found = next(_reductions(now, clock), None)
        if found is None:
            break
        smaller, what, after = found
        steps.append(Step(what, takes.seconds - after.seconds))
        now, takes = smaller, after
    if takes.within(limit):
        for larger, what in _restored(now, study) if steps else ():
            if (after := clock(larger)).within(limit):
                steps.append(Step(what, takes.seconds - after.seconds))
                now, takes = larger, after
                break
    return Proposal(now, asked, takes, limit, tuple(steps), changes(study, now))


def _reductions(study: Study, clock: Clock) -> Iterator[tuple[Study, str, Takes]]:
    """Smaller studies in the order in which they are to be tried, each with what it leaves out and what it takes."""
    own, students = study.replicates, study.students or ()
    if own.condense > FEWEST:
        fewer = Replicates(condense=own.condense - 1, train=own.train)
        yield _timed(clock, study, f"{fewer.condense} condense replicates, not {own.condense}", replicates=fewer)
    if own.train > 1:
        fewer = Replicates(condense=own.condense, train=own.train - 1)
        yield _timed(clock, study, f"train replicates: {fewer.train}, not {own.train}", replicates=fewer)
    if len(study.budgets) > 1:
        largest = max(range(len(study.budgets)), key=lambda i: _size(study.budgets[i], i))
        rest = tuple(b for i, b in enumerate(study.budgets) if i != largest)
        yield _timed(clock, study, f"without the budget {study.budgets[largest]}", budgets=rest)
    if len(students) > 1:
        yield min(
            (
                _timed(clock, study, f"without the student {one}", students=tuple(s for s in students if s != one))
                for one in students
            ),
            key=lambda found: found[2].seconds,
        )
    if droppable := _droppable(study):
        yield min(
            (_timed(clock, study, f"without the method {label}", condensers=rest) for label, rest in droppable.items()),
            key=lambda found: found[2].seconds,
        )


def _timed(clock: Clock, study: Study, what: str, **changed: Any) -> tuple[Study, str, Takes]:
    smaller = study.model_copy(update=changed)
    return smaller, what, clock(smaller)


def _size(budget: Budget, place: int) -> tuple[float, int]:
    """Sorts budgets of one word by size, which is the usual case; of several words the last ones are the largest."""
    return float(budget.ipc or 0) + float(budget.images or 0) + float(budget.fraction or 0), place


def _droppable(study: Study) -> dict[str, tuple[Any, ...]]:
    """Methods that may go, by label, and what is left without each; a control stays as long as its method."""
    methods, controls = study.methods(), study.controls()
    if len(methods) <= 2:
        return {}
    free = [label for label, method in methods.items() if method.name != REFERENCE and label not in controls.values()]
    entries = dict(zip(methods, study.condensers, strict=True))
    return {label: tuple(entry for other, entry in entries.items() if other != label) for label in free}


def _restored(now: Study, study: Study) -> Iterator[tuple[Study, str]]:
    """The study with more of its condense replicates back, most first."""
    for condense in range(study.replicates.condense, now.replicates.condense, -1):
        more = Replicates(condense=condense, train=now.replicates.train)
        yield now.model_copy(update={"replicates": more}), f"and {condense} condense replicates again"


def changes(study: Study, other: Study) -> str:
    """The TOML keys of a study that another one has other values of."""
    lines = []
    for key in ("replicates", "budgets", "students", "condensers"):
        if getattr(study, key) != getattr(other, key):
            lines.append(f"{key} = {_toml(other.model_dump(mode='json', exclude_none=True)[key])}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(word: str) -> str:
    return word if word.replace("_", "").replace("-", "").isalnum() and word.isascii() else json.dumps(word)
