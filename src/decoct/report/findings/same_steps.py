"""The full data trained for exactly as many steps as a set: what is left of a set's merit when time is equal."""

from collections.abc import Sequence
from dataclasses import dataclass

from decoct.report import wording
from decoct.report.findings.accuracy import Accuracy
from decoct.report.findings.verdict import Setting
from decoct.report.read.manifest import FULL
from decoct.report.stats.intervals import Interval

NAME = "full data, same steps"


@dataclass(frozen=True)
class Gap:
    """How far the best set of a setting falls short of the full data at the same number of steps.

    Attributes:
        setting: protocol, student, budget.
        method: the one whose mean is highest.
        interval: full data minus the set's mean, a fraction. It conditions on the one student of the full data and on
            the test images; picking the highest mean flatters the set a little.
    """

    setting: Setting
    method: str
    interval: Interval


def same_steps(accuracies: Sequence[Accuracy], setting: Setting) -> Accuracy | None:
    """The full data's accuracy after as many steps as the setting's sets took.

    Where the ceiling itself took as many steps as every set, it is that student, and was not trained twice.
    """
    full = [a for a in accuracies if a.method == FULL]
    if own := [a for a in full if a.setting == setting]:
        return own[0]
    steps = {a.steps for a in _sets(accuracies, setting)}
    return next((a for a in full if a.setting[:2] == setting[:2] and steps == {a.steps}), None)


def gaps(accuracies: Sequence[Accuracy], settings: Sequence[Setting]) -> tuple[Gap, ...]:
    """One gap for each setting that has a set and the full data at the same number of steps."""
    found = []
    for setting in settings:
        full, sets = same_steps(accuracies, setting), _sets(accuracies, setting)
        if full and sets:
            best = max(sets, key=lambda a: a.interval.mean)
            top, i = full.interval.mean, best.interval
            found.append(Gap(setting, best.method, Interval(top - i.mean, top - i.hi, top - i.lo, i.n)))
    return tuple(found)


def sentences(found: Sequence[Gap]) -> tuple[str, ...]:
    """One sentence for each protocol and student, over its budgets."""
    panels = dict.fromkeys(gap.setting[:2] for gap in found)
    return tuple(_sentence(*panel, [gap for gap in found if gap.setting[:2] == panel]) for panel in panels)


def overall(found: Sequence[Gap]) -> str:
    """One sentence over all settings: the only one, or the counts; empty where there is nothing to say."""
    lines = sentences(found)
    if len(lines) < 2:
        return "".join(lines)
    means = [gap.interval.mean for gap in found]
    short, sure = sum(mean > 0 for mean in means), sum(gap.interval.lo > 0 for gap in found)
    return (
        f"Beside the full data after as many steps, the set of the highest mean falls short in {short} of "
        f"{len(found)} settings, in {sure} with an interval above 0; full data minus set is "
        f"{wording.points(min(means))} to {wording.points(max(means))} points"
    )


def _sentence(protocol: str, student: str, own: Sequence[Gap]) -> str:
    said = "; ".join(_said(gap) for gap in own)
    return f"Under {protocol}, {student}, beside the full data after as many steps, the set of the highest mean {said}"


def _said(gap: Gap) -> str:
    i, where = gap.interval, f"at {wording.budget(gap.setting.budget)} ({gap.method}, n = {gap.interval.n})"
    if i.mean >= 0:
        return f"falls {wording.percent(i.mean)} points short {wording.bounds(i.lo, i.hi)} {where}".replace("  ", " ")
    return f"lies {wording.percent(-i.mean)} points above {wording.bounds(-i.hi, -i.lo)} {where}".replace("  ", " ")


def _sets(accuracies: Sequence[Accuracy], setting: Setting) -> list[Accuracy]:
    return [a for a in accuracies if a.setting == setting and a.method != FULL]
