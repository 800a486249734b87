"""Verdicts in plain words: each method against random and every coreset, and whether distilling was worth it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from decoct.report import nested, stats, wording
from decoct.report.answers import Answers, over_images
from decoct.report.manifest import REFERENCE
from decoct.report.nested import Components
from decoct.report.stats import ALPHA, Comparison, Interval, Replicates, Word

WORDS: tuple[Word, ...] = ("better", "equivalent", "worse", "undecided")


class Setting(NamedTuple):
    """What is held fixed in a comparison."""

    protocol: str
    student: str
    budget: str


@dataclass(frozen=True)
class Verdict:
    """One method in one setting.

    Attributes:
        method: its label in the study.
        family: coreset, distillation or control.
        setting: protocol, student, budget.
        random: against random selection; None where the study has none, or for random itself.
        coresets: against every other coreset of the study, random included.
        against_coresets: the word over all of them; None where there is none.
        needed: replicates that would decide against all coresets; None if decided or unknown.
        random_sure: the word against random survives Holm over all methods and settings, see ``sure``.
        components: what the differences to random vary by; None without random.
    """

    method: str
    family: str
    setting: Setting
    random: Comparison | None
    coresets: Mapping[str, Comparison]
    against_coresets: Word | None
    needed: int | None
    random_sure: bool = False
    components: Components | None = None

    def sentences(self) -> list[str]:
        """Against random, then against the coresets, with intervals and n."""
        lines = [wording.comparison(self.method, REFERENCE, self.random)] if self.random else []
        others = {name: c for name, c in self.coresets.items() if name != REFERENCE}
        return lines + ([self._against_all()] if others else [])

    def _against_all(self) -> str:
        words = {word: [name for name, c in self.coresets.items() if c.verdict == word] for word in WORDS}
        if self.against_coresets == "better":
            least = min(self.coresets.values(), key=lambda c: c.mean)
            return f"{self.method} is better than every coreset, by {wording.points(least.mean)} points or more"
        if self.against_coresets == "worse":
            return f"{self.method} is worse than at least one coreset ({', '.join(words['worse'])})"
        if self.against_coresets == "equivalent":
            more = f" and better than {', '.join(words['better'])}" if words["better"] else ""
            return f"{self.method} is equivalent to {', '.join(words['equivalent'])}{more}"
        open_ = ", ".join(words["undecided"]) or ", ".join(words["worse"])
        more = f"; about {self.needed} replicates would decide" if self.needed else ""
        return f"{self.method} against the best coreset is undecided (against {open_}){more}"


@dataclass(frozen=True)
class Worth:
    """Is distilling worth it here? Said from the verdicts alone.

    Attributes:
        answer: Yes, In part, No, Undecided, or Cannot be said.
        because: one sentence with the counts behind it.
        methods: one sentence for each distillation method.
    """

    answer: str
    because: str
    methods: tuple[str, ...]


def verdicts(
    accuracies: Mapping[Setting, Mapping[str, Replicates]],
    families: Mapping[str, str],
    margin: float,
    floor: float,
    answers: Answers | None = None,
) -> list[Verdict]:
    """Compare every method with random and with every other coreset, in each setting.

    Args:
        accuracies: by setting, then method; a method without any student may be absent.
        families: of every method of the study, in its order.
        margin: of equivalence, a fraction.
        floor: the smallest standard deviation to believe, see ``stats.grid_floor``.
        answers: of the students by test image, for the intervals over test images.
    """
    found = []
    for setting, by_method in accuracies.items():
        for method, family in families.items():
            own = by_method.get(method, {})
            against = {
                other: replace(
                    nested.compare(own, by_method.get(other, {}), margin, floor),
                    over_images=_over_images(answers, setting, method, other),
                )
                for other in families
                if other != method and (families[other] == "coreset" or other == REFERENCE)
            }
            word = stats.against_all(list(against.values())) if against else None
            needed = _needed(against) if word == "undecided" else None
            parts = _components(answers, setting, method, by_method) if REFERENCE in against else None
            random = against.get(REFERENCE)
            found.append(Verdict(method, family, setting, random, against, word, needed, components=parts))
    kept = iter(sure([v.random for v in found if v.random]))
    return [replace(v, random_sure=next(kept)) if v.random else v for v in found]


def sure(family: Sequence[Comparison]) -> list[bool]:
    """Which comparisons keep their word after Holm over the family, in the order given.

    Each word has its own correction over all of the family's comparisons: "better" and "worse" at 2.5 % one-sided,
    "equivalent" at 5 %. So a false difference is said with at most 5 % over the family, and so is a false equivalence.
    """
    adjusted: dict[Word, list[float]] = {
        "better": stats.holm([c.p_better for c in family]),
        "worse": stats.holm([c.p_worse for c in family]),
        "equivalent": stats.holm([c.p_equivalent for c in family]),
    }
    level = {"better": ALPHA / 2, "worse": ALPHA / 2, "equivalent": ALPHA}
    return [c.verdict in level and adjusted[c.verdict][i] < level[c.verdict] for i, c in enumerate(family)]


def resolution(found: Sequence[Verdict]) -> tuple[str, ...]:
    """One sentence for each setting: the smallest differences that as many replicates with this spread would find."""
    lines = []
    for setting in dict.fromkeys(v.setting for v in found):
        own = [c for v in found if v.setting == setting for c in v.coresets.values() if c.n > 1]
        if own:
            counts, sizes = sorted(c.n for c in own), [c.detectable for c in own]
            n = " to ".join(dict.fromkeys(str(n) for n in (counts[0], counts[-1])))
            half, all_ = (wording.points(size).removeprefix("+") for size in (median(sizes), max(sizes)))
            lines.append(
                f"{setting.protocol}, {setting.student}, {wording.budget(setting.budget)}: in 4 of 5 studies, {n} "
                f"replicates find a true difference of {half} points for half of the pairs and of {all_} points for "
                "all, each by its own spread"
            )
    return tuple(lines)


def worth(found: list[Verdict]) -> Worth:
    """Whether any distillation method beats every coreset, over all settings.

    Within a setting the intersection over coresets needs no correction; over the settings and methods asked here,
    "better" must also survive Holm at 2.5 % one-sided.
    """
    distilled = [v for v in found if v.family == "distillation"]
    if not distilled:
        return Worth("Cannot be said", "This study has no distillation method, only selections.", ())
    if not any(v.coresets for v in distilled):
        return Worth("Cannot be said", "This study has no coreset to compare with; add random and herding.", ())
    if all(c.n == 0 for v in distilled for c in v.coresets.values()):
        return Worth("Cannot be said", "No pair of students has been trained yet.", ())
    adjusted = stats.holm([p_better(v) for v in distilled])
    sure = [v for v, p in zip(distilled, adjusted, strict=True) if v.against_coresets == "better" and p < ALPHA / 2]
    lines = tuple(_tally(method, distilled) for method in dict.fromkeys(v.method for v in distilled))
    return Worth(*_answer(distilled, sure), lines)


def _answer(distilled: list[Verdict], sure: list[Verdict]) -> tuple[str, str]:
    total, words = len(distilled), Counter(v.against_coresets for v in distilled)
    what = f"{total} comparisons (method × protocol × student × budget)" if total > 1 else "the one comparison made"
    counts = _spell(words)
    if sure:
        asked, won = Counter(v.method for v in distilled), Counter(v.method for v in sure)
        names = ", ".join(f"{name} in {n} of {asked[name]}" for name, n in won.items())
        always = [name for name, n in won.items() if n == asked[name]]
        answer = "Yes" if len(always) == len(asked) else f"Yes, with {' and '.join(always)}" if always else "In part"
        return answer, (
            f"Distilling gives more accuracy than every coreset in {len(sure)} of {what} after Holm over all of them: "
            f"{names}. One by one: {counts}{_more(distilled)}."
        )
    if words["better"]:
        some = f"better than every coreset in {words['better']} of {what}, but none survives Holm over all of them"
        return "Undecided", f"Distilling looks {some}. One by one: {counts}{_more(distilled)}."
    if words["undecided"] == total:
        return "Undecided", f"The replicates at hand decide none of {what}{_more(distilled)}."
    if not words["undecided"]:
        return "No", f"Distilling beats every coreset in none of {what}: {counts}."
    return "Not shown", f"Distilling is shown to beat every coreset in none of {what}: {counts}{_more(distilled)}."


def _more(distilled: list[Verdict]) -> str:
    needed = sorted(v.needed for v in distilled if v.needed)
    if not needed:
        return ""
    span = f"{needed[0]} to {needed[-1]}" if needed[0] < needed[-1] else f"{needed[0]}"
    return f"; about {span} replicates would decide what is open"


def _tally(method: str, distilled: list[Verdict]) -> str:
    own = [v for v in distilled if v.method == method]
    parts = []
    if any(v.random for v in own):
        parts.append(f"against random {_spell(Counter(v.random.verdict for v in own if v.random))}")
    if any(name != REFERENCE for v in own for name in v.coresets):
        parts.append(f"against the best coreset {_spell(Counter(v.against_coresets for v in own))}")
    return f"{method}, over {wording.count(len(own), 'setting')}: {'; '.join(parts)}"


def _spell(words: Mapping[Word | None, int] | Mapping[Word, int]) -> str:
    counts = dict(words)
    return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts.get(word))


def _over_images(answers: Answers | None, setting: Setting, a: str, b: str) -> Interval | None:
    found = answers.difference(setting, a, b) if answers else None
    return over_images(found) if found else None


def _components(
    answers: Answers | None, setting: Setting, method: str, by_method: Mapping[str, Replicates]
) -> Components:
    differences = stats.common([(1, by_method.get(method, {})), (-1, by_method.get(REFERENCE, {}))])
    found = answers.difference(setting, method, REFERENCE) if answers else None
    return nested.components(differences, found.deviation if found else None)


def p_better(verdict: Verdict) -> float:
    """The intersection-union p-value: the largest over the coresets, one-sided; an untested one counts as 1."""
    return max(1.0 if math.isnan(c.p_better) else c.p_better for c in verdict.coresets.values())


def _needed(against: Mapping[str, Comparison]) -> int | None:
    """Replicates by which the slowest open comparison would be decided; None if one is out of reach or unknown."""
    open_ = [c.needed for c in against.values() if c.verdict == "undecided"]
    return max((n for n in open_ if n), default=None) if all(open_) else None
