"""A smaller study that fits a time: fewer replicates first, then fewer budgets, students and methods."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.run.study import Replicates, Study

FEWEST = 3  # condense replicates below which intervals say next to nothing
REFERENCE = "random"  # what every verdict is set beside
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
SPAN = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in ("d", "h", "m(?:in)?", "s")))


class Takes(NamedTuple):
    """Seconds on the clock of the jobs that have an estimate, the number of these, and that of those without one."""

    seconds: float
    known: int
    unknown: int = 0

    def within(self, limit: float) -> bool | None:
        """Whether it fits; None where that cannot be said, since what is known fits and there is more."""
        return False if self.seconds > limit else None if self.unknown else True


class Proposal(NamedTuple):
    """A smaller study: what the one that was asked for takes, what this one takes, and the seconds that it was to fit.

    Attributes:
        steps: what is left out, in words and in order, and the seconds that each saves.
        changed: the keys of the study to change, with their values.
    """

    study: Study
    asked: Takes
    takes: Takes
    limit: float
    steps: tuple[tuple[str, float], ...]
    changed: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        said = {"met": self.takes.within(self.limit), "fits_as_it_is": self.asked.within(self.limit)}
        steps = [{"what": what, "saves": saves} for what, saves in self.steps]
        return {**said, **self.takes._asdict(), "limit": self.limit, "steps": steps}


def propose(study: Study, limit: float, clock: Callable[[Study], Takes]) -> Proposal:
    """The first of ever smaller studies that fits, or whose known jobs do; the smallest of all if none does.

    Condense replicates are taken down to three, then train replicates to one; then the largest budget goes, again and
    again, then the student, then the method that saves most. ``random``, one other method, one student and one budget
    stay. What is left of the time is given back to the replicates.
    """
    asked = takes = clock(study)
    now, steps = study, list[tuple[str, float]]()
    while takes.seconds > limit and (options := _options(now)):
        smaller = {what: now.model_copy(update=changed) for what, changed in options.items()}
        after = {what: clock(other) for what, other in smaller.items()}
        best = min(after, key=lambda what: after[what].seconds)
        steps.append((best, takes.seconds - after[best].seconds))
        now, takes = smaller[best], after[best]
    for condense in range(study.replicates.condense, now.replicates.condense, -1):
        larger = now.model_copy(update=_replicates(condense, now.replicates.train))
        if takes.within(limit) and (more := clock(larger)).within(limit):
            steps.append((f"and {condense} condense replicates again", takes.seconds - more.seconds))
            now, takes = larger, more
            break
    was, new = (one.model_dump(mode="json", exclude_none=True) for one in (study, now))
    return Proposal(now, asked, takes, limit, tuple(steps), {key: new[key] for key in new if new[key] != was[key]})


def _options(study: Study) -> dict[str, dict[str, Any]]:
    """What may be left out next, in words, and the keys of the study to change for that."""
    own, students, budgets, methods = study.replicates, study.students or (), study.budgets, study.methods()
    if own.condense > FEWEST:
        return {f"{own.condense - 1} condense replicates, not {own.condense}": _replicates(own.condense - 1, own.train)}
    if own.train > 1:
        return {f"train replicates: {own.train - 1}, not {own.train}": _replicates(own.condense, own.train - 1)}
    if len(budgets) > 1:
        largest = max(budgets, key=_size)
        return {f"without the budget {largest}": {"budgets": tuple(one for one in budgets if one != largest)}}
    if len(students) > 1:
        return {f"without the student {s}": {"students": tuple(o for o in students if o != s)} for s in students}
    entries = dict(zip(methods, study.condensers, strict=True))
    stay = {*study.controls().values(), *(label for label, one in methods.items() if one.name == REFERENCE)}
    return {
        f"without the method {label}": {"condensers": tuple(entries[other] for other in entries if other != label)}
        for label in (entries if len(entries) > 2 else ())
        if label not in stay
    }


def _replicates(condense: int, train: int) -> dict[str, Any]:
    return {"replicates": Replicates(condense=condense, train=train)}


def _size(budget: Budget) -> float:
    """Sorts budgets of one word by size, which is the usual case."""
    return float(budget.ipc or 0) + float(budget.images or 0) + float(budget.fraction or 0)


def seconds_of(text: str) -> float:
    """Seconds of a span of time as people write it: 90m, 1h30m, 3d.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    parts = SPAN.fullmatch(text.strip().lower().replace(" ", ""))
    total = sum(float(n or 0) * unit for n, unit in zip(parts.groups(), UNITS.values(), strict=True)) if parts else 0.0
    if not 0 < total < float("inf"):
        raise UsageError(f"cannot read the time '{text}': write it as 90m, 2h, 1h30m or 3d")
    return total
