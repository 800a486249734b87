"""Verdicts in plain words: each method against random and every coreset."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import comparisons, components, intervals, outperformance
from decoct.report.stats.answers import Answers
from decoct.report.stats.comparisons import SHOWN, WORDS, Comparison, Word
from decoct.report.stats.components import Components
from decoct.report.stats.crossed import crossed
from decoct.report.stats.intervals import Interval, Replicates

NATIVE = "its protocol is a paper's own"  # why a setting is outside that could be read


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
        ahead: P(ahead of random) for a new pair of sets; None without a pair.
        outside: why the setting is outside the family: it cannot be read, or its protocol is a paper's own.
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
    ahead: Interval | None = None
    outside: str = ""

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
        if self.against_coresets == "same":
            more = f" and better than {', '.join(words['better'])}" if words["better"] else ""
            return f"{self.method} is the same as {', '.join(words['same'])}{more}"
        if self.against_coresets == "leans worse":
            return f"{self.method} leans worse than at least one coreset ({', '.join(words['leans worse'])})"
        if self.against_coresets == "leans better":
            return f"{self.method} leans better than every coreset"
        more = f"; about {self.needed} sets would decide" if self.needed else ""
        rest = [name for name, c in self.coresets.items() if c.verdict not in SHOWN]
        return f"{self.method} against the best coreset is open (against {', '.join(rest)}){more}"


def verdicts(
    accuracies: Mapping[Setting, Mapping[str, Replicates]],
    families: Mapping[str, str],
    margins: Mapping[Setting, float],
    floor: float,
    answers: Answers | None = None,
    fixed: Collection[str] = frozenset(),
    outside: Mapping[Setting, str] = MappingProxyType({}),
) -> list[Verdict]:
    """Compare every method with random and with every other coreset, in each setting.

    Words hold after Holm over all pairs of methods in all settings that are not outside (``comparisons.corrected``).
    *Better* than every coreset is better than each of them, so that none is picked as the best and then tested.

    Args:
        accuracies: by setting, then method; a method without any student may be absent.
        families: of every method of the study, in its order.
        margins: below which differences do not matter, a fraction, by setting.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.
        answers: of the students by test image, for what the test images may change.
        fixed: methods of one set: their comparisons spread less than those of methods whose sets vary.
        outside: settings left out of every count, and why; there a word only leans.
    """
    compared: list[Verdict] = []
    for setting, by_method in accuracies.items():
        for method, family in families.items():
            own, against, parts = by_method.get(method, {}), dict[str, Comparison](), None
            likely = None
            for other in (o for o in families if o != method and (families[o] == "coreset" or o == REFERENCE)):
                differences = intervals.common([(1, own), (-1, by_method.get(other, {}))])
                tally = answers.difference(setting, method, other, differences) if answers else None
                against[other] = comparisons.compare(crossed(differences, tally, floor), margins[setting])
                if other == REFERENCE:
                    likely = outperformance.ahead(differences) if differences else None
                    parts = components.components(differences, tally.deviation if tally else None)
            why = outside.get(setting, "")
            compared.append(Verdict(method, family, setting, None, against, None, None, parts, likely, why))
    return _corrected(compared, fixed)


def spell(words: Sequence[Word | None]) -> str:
    """How often each word is said: ``2 better, 1 open``."""
    return ", ".join(f"{n} {word}" for word in WORDS if (n := words.count(word)))


def asked(number: int) -> str:
    """The number of comparisons, and what they range over."""
    return f"{number} comparisons (method × protocol × student × budget)" if number > 1 else "the one comparison made"


def correction(verdicts: Sequence[Verdict]) -> str:
    """What the words are corrected over, in one sentence; empty for one comparison or none."""
    pairs = max((c.family for v in verdicts for c in v.coresets.values()), default=0)
    if pairs < 2:
        return ""
    return f"Better, worse and same are said after Holm over all {pairs:,} comparisons of two methods"


def generators(costs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence per generator: the methods whose sets come from it, and what it was trained on."""
    seen = ((said, row["method"]) for row in costs for said in filter(None, (row["seen"] or "").split("; ")))
    return tuple(
        f"The sets of {', '.join(dict.fromkeys(method for _, method in own))} come from a generator: {said}. What it "
        "saw beyond the train split, if anything, was not available to any coreset"
        for said, own in grouped(seen, lambda pair: pair[0]).items()
    )


def _corrected(compared: Sequence[Verdict], fixed: Collection[str]) -> list[Verdict]:
    """With the words of ``verdicts``; a pair of coresets occurs twice and counts once."""
    pairs: dict[tuple[Setting, str, str], Comparison] = {}
    for v in compared:
        for other, c in v.coresets.items() if not v.outside else ():
            if (v.setting, other, v.method) not in pairs:
                pairs[v.setting, v.method, other] = c
    kinds = [len({a, b} & set(fixed)) for _, a, b in pairs]
    said = dict(zip(pairs, comparisons.corrected(list(pairs.values()), kinds), strict=True))
    turned = {(s, b, a): comparisons.turned(c) for (s, a, b), c in said.items()}
    words = {**turned, **said}

    def worded(v: Verdict, other: str, c: Comparison) -> Comparison:
        return comparisons.outside(c) if v.outside else words[v.setting, v.method, other]

    return [_whole(v, {other: worded(v, other, c) for other, c in v.coresets.items()}) for v in compared]


def _whole(v: Verdict, against: Mapping[str, Comparison]) -> Verdict:
    word = comparisons.against_all(list(against.values())) if against else None
    needed = _needed(against) if word not in SHOWN and not v.outside else None
    return replace(v, random=against.get(REFERENCE), coresets=against, against_coresets=word, needed=needed)


def _needed(against: Mapping[str, Comparison]) -> int | None:
    """Replicates by which the slowest open comparison would be decided; None if one is out of reach or unknown."""
    open_ = [c.needed for c in against.values() if c.verdict not in SHOWN]
    return max((n for n in open_ if n), default=None) if all(open_) else None
