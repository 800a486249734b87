"""Whether distilled sets beat the coresets and random, on one data set and over several.

The answer is better, not better anywhere by more than the margin, or open, then with the number of sets that would
settle it. "Not better than the best coreset" is an intersection-union test over every distillation method and setting,
see ``superiority``: it is said only if it holds for all. How many are shown singly is counted after Holm.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE
from decoct.report.stats import comparisons, superiority
from decoct.report.stats.comparisons import Word
from decoct.report.stats.crossed import FEWEST
from decoct.report.stats.intervals import ALPHA
from decoct.report.verdict import NATIVE, Verdict

Answer = Literal["none", "some", "open", "untold"]
KINDS = {"distillation": "distillation method", "coreset": "coreset"}
UNREADABLE = "unreadable, or a paper's own protocol"


@dataclass(frozen=True)
class Beside:
    """One distillation method in one setting, compared with the coresets or with random alone.

    Attributes:
        data: name of the data set.
        method: its label.
        setting: protocol, student, budget.
        margin: below which differences do not matter, a fraction.
        p: of "better by the margin or more", uncorrected.
        shown: not better by more than the margin, after Holm over its family.
        word: of the verdict.
    """

    data: str
    method: str
    setting: Setting
    margin: float
    p: float
    shown: bool
    word: Word | None


@dataclass(frozen=True)
class Conclusion:
    """How all distilled sets compare with the best coreset.

    Attributes:
        data: the data sets.
        answer: *none* is better by more than the margin, which is shown for all; *some* are better than every coreset;
            *open*; or *untold*, where nothing can be compared.
        text: one sentence without its full stop.
        p: of "one is better by the margin or more", the largest of all.
        each: every distillation method and setting against the coresets, *shown* after Holm over them all.
        outside: settings that are left out.
        needed: sets at which a new study would settle all that is open, with probability 80 %; None if settled or
            out of reach.
    """

    data: tuple[str, ...]
    answer: Answer
    text: str
    p: float = math.nan
    each: tuple[Beside, ...] = ()
    outside: int = 0
    needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        own = {name: getattr(self, name) for name in ("data", "answer", "text", "p", "outside", "needed")}
        return own | {"each": to_json(self.each)}


def to_json(each: Sequence[Beside]) -> list[dict[str, Any]]:
    """A plain dict for each."""
    names = ("data", "method", "margin", "p", "word")
    return [{n: getattr(b, n) for n in names} | b.setting._asdict() | {"not_better": b.shown} for b in each]


def conclude(verdicts: Mapping[str, Sequence[Verdict]]) -> Conclusion:
    """One answer over every data set, distillation method and setting.

    Args:
        verdicts: by name of the data set.
    """
    data = tuple(verdicts)
    distilled = [(name, v) for name, own in verdicts.items() for v in own if v.family == "distillation"]
    asked = [(name, v) for name, v in distilled if v.coresets and not v.outside]
    outside = sum(left_out(own) for own in verdicts.values())
    if why := _untold([v for _, v in distilled], [v for _, v in asked]):
        there = tuple(dict.fromkeys(name for name, _ in distilled)) or data  # the reason is theirs alone
        return Conclusion(data, "untold", f"{_on(there)}: {why}", outside=outside)
    against = [list(v.coresets.values()) for _, v in asked]
    p = [superiority.not_better(own) for own in against]
    largest, adjusted = superiority.everywhere(p), comparisons.holm(p)
    each = tuple(
        _beside(name, v, one, largest < ALPHA or own < ALPHA, v.against_coresets)
        for (name, v), one, own in zip(asked, p, adjusted, strict=True)
    )
    answer: Answer = "none" if largest < ALPHA else "some" if any(b.word == "better" for b in each) else "open"
    open_ = [own for b, own in zip(each, against, strict=True) if not b.p < ALPHA and b.word != "better"]
    untested, sets = sum(math.isnan(b.p) for b in each), max(c.n for own in against for c in own)
    needed = superiority.sets_to_settle(open_, len(each), sets)
    told = tuple(name for name in data if any(b.data == name for b in each))
    said = [{"none": _none, "some": _some, "open": _open}[answer](told, each)]
    said += [f"{untested} have too few sets for a test"] if untested else [_settles(needed, sets)] if open_ else []
    said += [f"left out: {wording.count(outside, 'setting')} ({UNREADABLE})"] if outside else []
    said += [f"nothing can be said of {', '.join(name for name in data if name not in told)}"] if told != data else []
    return Conclusion(data, answer, "; ".join(said), largest, each, outside, needed)


def beside_random(verdicts: Sequence[Verdict], data: str = "") -> tuple[Beside, ...]:
    """Every distillation method and setting against random; *shown* not to be better by more than the margin, after
    Holm over those of its protocol.
    """
    asked = [v for v in verdicts if v.family == "distillation" and v.random and not v.outside]
    found = []
    for own in grouped(asked, lambda v: v.setting.protocol).values():
        p = [superiority.not_better([v.random] if v.random else []) for v in own]
        for v, one, adjusted in zip(own, p, comparisons.holm(p), strict=True):
            found.append(_beside(data, v, one, adjusted < ALPHA, v.random.verdict if v.random else None))
    return tuple(found)


def random_sentence(each: Sequence[Beside]) -> str:
    """For each protocol, how many distilled sets fail to beat random, and how many beat it; empty without any."""
    parts = list[str]()
    for protocol, own in grouped(each, lambda b: b.setting.protocol).items():
        shown = [b for b in own if b.shown]
        worse, won = sum(b.word == "worse" for b in shown), sum(b.word == "better" for b in own if not b.shown)
        rest = len(own) - len(shown) - won
        below = f" ({worse} of them worse)" if shown else ""
        parts.append(f"under {protocol}, {won} better, {len(shown)} not better{below}, {rest} open")
    margin = wording.margins(b.margin for b in each)
    return f"distilled sets against {REFERENCE}, with a margin of {margin}: {'; '.join(parts)}" if parts else ""


def ours(families: Mapping[str, str]) -> str:
    """Which methods a conclusion covers: *these two distillation methods (a, b) and these three coresets (…)*."""
    parts = []
    for family, noun in KINDS.items():
        if own := [label for label, f in families.items() if f == family]:
            which = f"these {wording.number(len(own))} {noun}s" if len(own) > 1 else f"this one {noun}"
            parts.append(f"{which} ({', '.join(own)})")
    return " and ".join(parts)


def left_out(verdicts: Sequence[Verdict]) -> int:
    """How many settings are outside every family."""
    return len({v.setting for v in verdicts if v.outside})


def no_setting(verdicts: Sequence[Verdict]) -> str:
    """Why all of these are left out, as a clause; empty where one is not, or where there is none."""
    why = {v.outside for v in verdicts}
    if not why or "" in why:
        return ""
    if why == {NATIVE}:
        return "every protocol is a paper's own, and no sets are compared there"
    return "no setting can be read" + (", or it has a paper's own protocol" if NATIVE in why else "")


def _beside(data: str, v: Verdict, p: float, shown: bool, word: Word | None) -> Beside:
    margin = next((c.margin for c in v.coresets.values()), 0.01)
    return Beside(data, v.method, v.setting, margin, p, shown or word == "worse", word)


def _untold(distilled: Sequence[Verdict], asked: Sequence[Verdict]) -> str:
    if not distilled:
        return "there is no distillation method"
    if not asked:
        return no_setting(distilled) or "there is no coreset to compare with"
    return too_few(asked)


def too_few(asked: Sequence[Verdict]) -> str:
    """Why these comparisons have too few sets to show anything, as a clause; empty where one has enough."""
    most = max(c.n for v in asked for c in v.coresets.values())
    if most == 0:
        return "no pair of students has been trained yet"
    return f"it takes {FEWEST} sets per method to show anything; this study has {most}" if most < FEWEST else ""


def _none(data: tuple[str, ...], each: Sequence[Beside]) -> str:
    better = sum(b.word == "better" for b in each)
    less = f", {better} better than every coreset by less than that" if better else ""
    return (
        f"{_on(data)}, no distilled set beats the best coreset by more than {_margin(each)}: this is shown in all "
        f"{_places(each)}, and {_worse(each, 'the set')}{less}"
    )


def _some(data: tuple[str, ...], each: Sequence[Beside]) -> str:
    every, won = Counter(b.method for b in each), Counter(b.method for b in each if b.word == "better")
    names = " and ".join(f"{method} in {n} of {wording.count(every[method], 'setting')}" for method, n in won.items())
    where = _on(data) if len(data) == 1 else _on(data).replace("On", "Over", 1) + " together"  # one may have none
    return f"{where}, distilled sets beat every coreset: {names}; {_rest(each)}"


def _open(data: tuple[str, ...], each: Sequence[Beside]) -> str:
    return (
        f"{_on(data)}, it is open whether a distilled set beats the best coreset by more than {_margin(each)}: "
        f"{_rest(each)}"
    )


def _rest(each: Sequence[Beside]) -> str:
    shown = sum(b.shown for b in each)
    return (
        f"in {shown or 'none'} of {_places(each)} the distilled set is shown not to be better by more than "
        f"{_margin(each)}, and {_worse(each)}"
    )


def _places(each: Sequence[Beside]) -> str:
    return f"{wording.count(len(each), 'comparison')} (method × setting)"


def _worse(each: Sequence[Beside], who: str = "it") -> str:
    worse = sum(b.word == "worse" for b in each)
    return f"in {worse or 'none'} {who} is worse"


def _settles(needed: int | None, sets: int) -> str:
    if needed is None:
        return "no number of sets up to 1,000 would settle what is open"
    return f"about {needed} sets per method would settle what is open (now {sets})"


def _margin(each: Sequence[Beside]) -> str:
    return wording.margins(b.margin for b in each)


def _on(data: tuple[str, ...]) -> str:
    if len(data) == 1:
        return f"On {data[0]}"
    return f"On {'both' if len(data) == 2 else f'all {wording.number(len(data))}'} data sets"
