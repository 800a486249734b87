"""Verdicts in plain words: each method against random and every coreset, and whether distilling was worth it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from decoct.report import wording
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import comparisons, intervals, nested
from decoct.report.stats.answers import Answers, over_images
from decoct.report.stats.comparisons import Comparison, Word
from decoct.report.stats.intervals import ALPHA, Interval, Replicates
from decoct.report.stats.nested import Components

WORDS: tuple[Word, ...] = ("better", "equivalent", "worse", "undecided")
TURNED: Mapping[Word, Word] = {"better": "worse", "worse": "better"}  # seen from the other side


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
        coresets: against every other coreset of the study, random included, with words after Holm, see ``verdicts``.
        against_coresets: the word over all of them; None where there is none.
        needed: replicates that would decide against all coresets; None if decided or unknown.
        components: what the differences to random vary by; None without random.
    """

    method: str
    family: str
    setting: Setting
    random: Comparison | None
    coresets: Mapping[str, Comparison]
    against_coresets: Word | None
    needed: int | None
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

    Words hold after Holm over all pairs of methods in all settings (``comparisons.corrected``), but for one: *better*
    than every coreset is an intersection-union test of each distillation method in each setting, after Holm over
    those. It rejects the union of "no better than this one", and so gives its word to each of them.

    Args:
        accuracies: by setting, then method; a method without any student may be absent.
        families: of every method of the study, in its order.
        margin: of equivalence, a fraction.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.
        answers: of the students by test image, for the intervals over test images.
    """
    found: list[Verdict] = []
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
            parts = _components(answers, setting, method, by_method) if REFERENCE in against else None
            found.append(Verdict(method, family, setting, None, against, None, None, parts))
    return _corrected(found)


def correction(found: Sequence[Verdict]) -> str:
    """What words are corrected over, in one sentence; empty where one comparison or none was made."""
    pairs = max((c.family for v in found for c in v.coresets.values()), default=0)
    if pairs < 2:
        return ""
    asked = sum(bool(v.coresets) for v in found if v.family == "distillation")
    every = f", better than every coreset after Holm over the {asked} asked here" if asked > 1 else ""
    return f"Better, worse and equivalent are said after Holm over all {pairs:,} comparisons of two methods{every}"


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
                "all, each by its own spread and before Holm"
            )
    return tuple(lines)


def worth(found: list[Verdict]) -> Worth:
    """Whether any distillation method beats every coreset, over all settings, by the words of the verdicts."""
    distilled = [v for v in found if v.family == "distillation"]
    if not distilled:
        return Worth("Cannot be said", "This study has no distillation method, only selections.", ())
    if not any(v.coresets for v in distilled):
        return Worth("Cannot be said", "This study has no coreset to compare with; add random and herding.", ())
    if all(c.n == 0 for v in distilled for c in v.coresets.values()):
        return Worth("Cannot be said", "No pair of students has been trained yet.", ())
    lines = tuple(_tally(method, distilled) for method in dict.fromkeys(v.method for v in distilled))
    return Worth(*_answer(distilled), lines)


def _answer(distilled: list[Verdict]) -> tuple[str, str]:
    total, words = len(distilled), Counter(v.against_coresets for v in distilled)
    what = f"{total} comparisons (method × protocol × student × budget)" if total > 1 else "the one comparison made"
    counts = _spell(words)
    if words["better"]:
        asked = Counter(v.method for v in distilled)
        won = Counter(v.method for v in distilled if v.against_coresets == "better")
        names = ", ".join(f"{name} in {n} of {asked[name]}" for name, n in won.items())
        always = [name for name, n in won.items() if n == asked[name]]
        answer = "Yes" if len(always) == len(asked) else f"Yes, with {' and '.join(always)}" if always else "In part"
        return answer, (
            f"Distilling gives more accuracy than every coreset in {words['better']} of {what}: {names}. "
            f"In all: {counts}{_more(distilled)}."
        )
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
    differences = intervals.common([(1, by_method.get(method, {})), (-1, by_method.get(REFERENCE, {}))])
    found = answers.difference(setting, method, REFERENCE) if answers else None
    return nested.components(differences, found.deviation if found else None)


def _corrected(found: Sequence[Verdict]) -> list[Verdict]:
    """With the words of ``verdicts``; a pair of coresets is met twice, and counts once."""
    pairs: dict[tuple[Setting, str, str], Comparison] = {}
    for v in found:
        for other, c in v.coresets.items():
            if (v.setting, other, v.method) not in pairs:
                pairs[v.setting, v.method, other] = c
    said = dict(zip(pairs, comparisons.corrected(list(pairs.values())), strict=True))
    asked = [v for v in found if v.family == "distillation" and v.coresets]
    adjusted = comparisons.holm([_p_better(v) for v in asked])
    best = {(v.setting, v.method) for v, p in zip(asked, adjusted, strict=True) if p < ALPHA / 2}

    def worded(v: Verdict, other: str, c: Comparison) -> Comparison:
        if (v.setting, v.method) in best:
            return replace(c, family=len(pairs))
        own = said.get((v.setting, v.method, other))
        turned = said.get((v.setting, other, v.method), c).verdict
        return own or replace(c, family=len(pairs), verdict=TURNED.get(turned, turned))

    return [_whole(v, {other: worded(v, other, c) for other, c in v.coresets.items()}) for v in found]


def _whole(v: Verdict, against: Mapping[str, Comparison]) -> Verdict:
    word = comparisons.against_all(list(against.values())) if against else None
    needed = _needed(against) if word == "undecided" else None
    return replace(v, random=against.get(REFERENCE), coresets=against, against_coresets=word, needed=needed)


def _p_better(verdict: Verdict) -> float:
    """The intersection-union p-value: the largest over the coresets, one-sided; 1 where one has another word."""
    return max(c.p_better if c.verdict == "better" else 1.0 for c in verdict.coresets.values())


def _needed(against: Mapping[str, Comparison]) -> int | None:
    """Replicates by which the slowest open comparison would be decided; None if one is out of reach or unknown."""
    open_ = [c.needed for c in against.values() if c.verdict == "undecided"]
    return max((n for n in open_ if n), default=None) if all(open_) else None
