"""Which settings can be read, by a rule fixed beforehand that uses random sets and the full data alone.

Settings that cannot be read are left out of every count and of the recommendation: where nothing learns, methods look
alike because nothing can be seen. The rule looks at no method except random, so no method's own result moves a setting
in or out. A method that collapses where random sets learn is worse, and its setting is readable.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import intervals
from decoct.report.stats.intervals import Interval

SHORT = 0.9  # of the accuracy under hard labels: full data below it show that students have not learnt
FEWEST = 3  # sets whose own interval is used: one set gives none, and two give one as wide as accuracies go
Rule = Literal["ceiling", "chance", "random"]


@dataclass(frozen=True)
class Unreadable:
    """A setting that cannot be read.

    Attributes:
        setting: protocol, student, budget.
        rule: that of ``short_ceiling``, ``at_chance`` or ``short_random``.
        reached: accuracy of the full data (ceiling), or of random sets.
        beside: the accuracy that it is compared with: under hard labels, or of a constant answer (chance).
        under: the protocol with hard labels; empty for chance.
    """

    setting: Setting
    rule: Rule
    reached: float
    beside: float
    under: str = ""

    @property
    def why(self) -> str:
        """The reason in words, without the setting."""
        return _why(self.rule, [self.reached], self.beside, self.under)


def constant(test_per_class: Sequence[float]) -> float:
    """Chance: the share of the most frequent class among the test images, which a constant answer reaches."""
    return max(test_per_class) / sum(test_per_class)


def unreadable(
    accuracies: Sequence[Accuracy], settings: Sequence[Setting], chance: float, hard: Collection[str], test_images: int
) -> tuple[Unreadable, ...]:
    """The settings that cannot be read, each by the first of the three rules that says so.

    Args:
        accuracies: of any methods; those of random and of the full data are looked at.
        settings: to be judged, in order.
        chance: what ``constant`` gives, a fraction.
        hard: protocols whose students learn from hard labels.
        test_images: that each student was tested on.
    """
    random = {a.setting: a for a in accuracies if a.method == REFERENCE}
    ceilings = {a.setting.panel: a for a in accuracies if a.ceiling}
    best = _best(ceilings.values(), hard, lambda s: s.student)
    best_random = _best(random.values(), hard, lambda s: (s.student, s.budget))
    found = []
    for setting in settings:
        own, full, top = random.get(setting), ceilings.get(setting.panel), best.get(setting.student)
        rival = best_random.get((setting.student, setting.budget))
        if full and top and short_ceiling(full.interval, top.interval):
            found.append(Unreadable(setting, "ceiling", full.interval.mean, top.interval.mean, top.setting.protocol))
        elif own and at_chance(own.interval, chance, test_images):
            found.append(Unreadable(setting, "chance", own.interval.mean, chance))
        elif not (full and top) and own and rival and short_random(own.interval, rival.interval, test_images):
            means = own.interval.mean, rival.interval.mean
            found.append(Unreadable(setting, "random", *means, rival.setting.protocol))
    return tuple(found)


def at_chance(own: Interval, chance: float, test_images: int) -> bool:
    """A method's sets are not shown to be above a constant answer: the lower end of their interval is not above chance.

    Below ``FEWEST`` sets it is Wilson's over the test images. Where random is truly at chance, one setting in forty
    passes; where it is little above, more sets let more pass (15 % beside 10 %, spread 2 points: 62 % with 3 sets, 98 %
    with 5).
    """
    return _bounds(own, test_images).lo <= chance


def short_ceiling(full: Interval, hard: Interval) -> bool:
    """The full data under a protocol reach less than nine tenths of what hard labels give the same student.

    The upper end of the interval over test images counts, against the best of the protocols with hard labels. Then the
    recipe is too short or does not suit the student, whatever the budget.
    """
    return full.hi < SHORT * hard.mean


def short_random(random: Interval, hard: Interval, test_images: int) -> bool:
    """Without full data: random sets reach less than nine tenths of what hard labels give at the same budget.

    The upper end of their interval counts, against the best of the protocols with hard labels. This is weaker evidence
    than a ceiling, and covers one budget: soft labels may cost a small set accuracy, because steps are too few or
    teachers err on mixed images, and still help a large one. It does show that nobody would train random sets that
    way, so a method ahead of random there is ahead of a handicapped one. Where labels make no difference, it errs in
    1.6 % or fewer: 3 sets or more that spread by up to 15 % of their mean, two protocols with hard labels.
    """
    return _bounds(random, test_images).hi < SHORT * hard.mean


def sentences(unreadable: Sequence[Unreadable]) -> tuple[str, ...]:
    """Protocols, student, budgets and the two accuracies compared; without full stops.

    One sentence for all protocols of a student that fail the same rule at the same budgets against the same accuracy.
    """
    panels = grouped(unreadable, lambda u: (u.setting.panel, u.rule, u.beside, u.under))
    alike = grouped(panels.items(), lambda item: (item[0][0][1], *item[0][1:], _budgets(item[1])))
    return tuple(_sentence([own for _, own in items]) for items in alike.values())


def hardly(unreadable: Sequence[Unreadable], settings: Sequence[Setting]) -> str:
    """What to change where no setting can be read, as a clause; empty where one can."""
    if not settings or {u.setting for u in unreadable} < set(settings):
        return ""
    larger = "raise the budgets or " if any(u.rule == "chance" for u in unreadable) else ""
    every = {1: "in the one setting of this study", 2: "in either setting"}.get(len(settings), "in any setting")
    return f"students hardly learn {every}; {larger}train for more steps"


def left_out(unreadable: Sequence[Unreadable], settings: Sequence[Setting]) -> str:
    """How many settings are left out of the counts, without a full stop; empty where all can be read."""
    if not unreadable:
        return ""
    count, verb = len(unreadable), "is" if len(unreadable) == 1 else "are"
    return f"{count} of {wording.count(len(settings), 'setting')} {verb} not readable and left out of every count"


def to_json(unreadable: Sequence[Unreadable]) -> list[dict[str, Any]]:
    """One entry per setting, for ``json.dumps``."""
    return [u.setting._asdict() | {"rule": u.rule, "why": u.why} for u in unreadable]


def _best(
    accuracies: Iterable[Accuracy], hard: Collection[str], key: Callable[[Setting], Hashable]
) -> Mapping[Hashable, Accuracy]:
    """The highest under hard labels."""
    own = grouped([a for a in accuracies if a.setting.protocol in hard], lambda a: key(a.setting))
    return {k: max(group, key=lambda a: a.interval.mean) for k, group in own.items()}


def _bounds(i: Interval, test_images: int) -> Interval:
    return i if i.n >= FEWEST else intervals.wilson(i.mean * test_images, test_images)


def _budgets(own: Sequence[Unreadable]) -> tuple[str, ...]:
    """The budgets that a sentence names: none for a ceiling, which covers them all."""
    return () if own[0].rule == "ceiling" else tuple(u.setting.budget for u in own)


def _sentence(panels: Sequence[Sequence[Unreadable]]) -> str:
    first, places = panels[0][0], wording.joined([wording.budget(b) for b in _budgets(panels[0])])
    protocols = ", ".join(own[0].setting.protocol for own in panels)
    at = f" at {places}" if places else ""
    reached = [u.reached for own in panels for u in (own[:1] if first.rule == "ceiling" else own)]
    why = _why(first.rule, reached, first.beside, first.under)
    return f"NOT READABLE {protocols} with {first.setting.student}{at}: {why}"


def _why(rule: Rule, reached: Sequence[float], beside: float, under: str) -> str:
    values = [wording.percent(x) for x in reached]
    said = wording.joined([f"{v} %" for v in values]) if len(values) < 4 else f"{_ends(reached)} %"
    if rule == "ceiling":
        return f"the full data reach {said} ({wording.percent(beside)} % under {under})"
    if rule == "chance":
        return f"random sets reach {said}, not shown to be above chance ({wording.percent(beside)} %)"
    return f"random sets reach {said} ({wording.percent(beside)} % under {under}), without full data"


def _ends(values: Sequence[float]) -> str:
    return wording.span(wording.percent(min(values)), wording.percent(max(values)))
