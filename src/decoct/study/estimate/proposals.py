"""A smaller study that fits a time: which parts to leave out, step by step, and what each step saves."""

import re
from dataclasses import replace
from typing import Any

from decoct.core.errors import UsageError
from decoct.study.estimate.plan import Plan
from decoct.study.study import Study

FEWEST = 3  # condense replicates below which intervals say next to nothing
REFERENCE = "random"  # what every verdict is set beside
UNITS = (86400, 3600, 60, 1)  # seconds of a day, an hour, a minute, a second
SPAN = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in ("d", "h", "m(?:in)?", "s")))


def propose(plan: Plan, limit: float) -> dict[str, Any]:
    """Reduce a study until it fits, or its known part does, or nothing can be left out.

    Returns:
        For ``json.dumps``: each step with what remains then takes and whether that fits, the first being the study as
        it is; whether the last one fits ("met"); and the keys of the study that change for it. Fits are None where that
        cannot be said: what is known fits, and there is more.
    """
    now, what, steps = plan, "as it is", list[dict[str, Any]]()
    while True:
        fits = False if now.clock > limit else None if now.unknown else True
        steps.append({"what": what, "seconds": now.clock, "unknown": now.unknown, "fits": fits})
        if fits is not False or (option := smaller(now.study)) is None:
            break
        what, changed = option
        now = replace(now, study=now.study.model_copy(update=changed))
    was, new = (one.study.model_dump(mode="json", exclude_none=True) for one in (plan, now))
    change = {key: new[key] for key in new if new[key] != was[key]}
    return {"limit": limit, "met": fits, "fits_as_it_is": steps[0]["fits"], "steps": steps, "change": change}


def smaller(study: Study) -> tuple[str, dict[str, Any]] | None:
    """What to leave out next, in words, and the keys of the study to change for that; None if nothing can be.

    Methods that have more sets than others get as many; condense replicates are taken down to three and train
    replicates to one; then the last budget goes, the last student, and the last method that is neither ``random``, nor
    a control, nor named by a protocol. One of each stays, beside ``random``.
    """
    usual = study.replicates.condense
    if more := [label for label, sets in study.sets().items() if sets > usual]:
        entries = tuple(_without_more(entry, usual) for entry in study.condensers)
        return f"{usual} sets of {', '.join(more)}, as of the others", {"condensers": entries}
    for name, fewest in (("condense", FEWEST), ("train", 1)):
        if (number := getattr(study.replicates, name) - 1) >= fewest:
            own = name == "condense" and study.replicates.teacher > 1
            fewer = dict.fromkeys((name, "teacher") if own else (name,), number)
            return f"{name} replicates: {number}", {"replicates": study.replicates.model_copy(update=fewer)}
    for name in ("budgets", "students"):
        values: tuple[Any, ...] = getattr(study, name) or ()
        if len(values) > 1:
            return f"without the {name[:-1]} {values[-1]}", {name: values[:-1]}
    methods, named = study.methods(), {*study.controls().values()}
    named |= {label for own in study.natives().values() for label in own or ()}
    free = [i for i, label in enumerate(methods) if methods[label].name != REFERENCE and label not in named]
    if len(methods) > 2 and free:
        left = tuple(entry for i, entry in enumerate(study.condensers) if i != free[-1])
        return f"without the method {list(methods)[free[-1]]}", {"condensers": left}
    return None


def _without_more(entry: str | dict[str, Any], usual: int) -> str | dict[str, Any]:
    if isinstance(entry, str) or entry.get("sets", 0) <= usual:
        return entry
    return {key: value for key, value in entry.items() if key != "sets"}


def seconds_of(text: str) -> float:
    """Seconds of a span of time as people write it: 90m, 1h30m, 3d.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    parts = SPAN.fullmatch(text.strip().lower().replace(" ", ""))
    total = sum(float(n or 0) * unit for n, unit in zip(parts.groups(), UNITS, strict=True)) if parts else 0.0
    if not 0 < total < float("inf"):
        raise UsageError(f"cannot read the time '{text}': write it as 90m, 2h, 1h30m or 3d")
    return total
