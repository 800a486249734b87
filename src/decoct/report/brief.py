"""A run in at most twelve lines, which a reader without statistics understands.

The lines repeat the words of the verdicts and of the conclusion; nothing is tested here.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from decoct.report import costs, readable, wording
from decoct.report.accuracy import Setting
from decoct.report.advice.recommend import stretches
from decoct.report.coresets import which
from decoct.report.grouped import grouped
from decoct.report.read.manifest import CONTROL, REFERENCE, Manifest
from decoct.report.stats import power
from decoct.report.stats.comparisons import Comparison
from decoct.report.verdict import Verdict

if TYPE_CHECKING:  # Summary holds a Brief
    from decoct.report.summary import Summary

MOST = 11  # lines; the twelfth on a terminal names the page
TOLD = 8  # times, if sets of so many kinds differ in them; otherwise a span for each family
WORTH, WHICH = "Is distilling worth it here?", "Which coreset?"  # the second for studies of coresets alone
LOOKED_FOR = 0.03  # a difference that most readers would care about


@dataclass(frozen=True)
class Brief:
    """What a run says in short.

    Attributes:
        question: that the study asks.
        answer: in a few words.
        because: the conclusion behind the answer, in one sentence.
        lines: sentences; the answer is among the first.
    """

    question: str
    answer: str
    because: str
    lines: tuple[str, ...]


def brief(summary: "Summary") -> Brief:
    """The run in short; the page has the rest."""
    if "distillation" in summary.methods.values():
        question, said, because = WORTH, _answer(summary), f"{summary.claims.conclusion.text}."
    else:
        question, (said, because) = WHICH, which(summary.verdicts)
    if hardly := readable.hardly(summary.unreadable, summary.settings):
        said, because = f"No answer: {hardly}", f"No answer: {hardly}."
    only = _only(summary)
    must = [_header(summary), f"{question.upper()} {said}.{f' {only}' if only else ''}", *_counts(summary)]
    take, more = list(_take(summary)), list(_more(summary))
    kept = more[: max(0, MOST - len(must) - len(take))]
    return Brief(question, said, because, (*must, *kept, *take)[:MOST])


def _header(summary: "Summary") -> str:
    run, own = summary.run, [a for a in summary.accuracies if a.method in summary.methods]
    counts = sorted({a.interval.n for a in own})
    students = ", ".join(dict.fromkeys(s.student for s in summary.settings))
    n = f"{wording.span(str(counts[0]), str(counts[-1]))} sets per method" if counts else "no student trained yet"
    said = f"{', '.join(filter(None, (run.name, students)))}: {n}, {run.data['images']['test']:,} test images"
    said += f"; {run.pooled.sentence()}" if run.pooled else ""
    if summary.trained < summary.planned:
        missing = summary.planned - summary.trained
        said += f"; {missing:,} of {summary.planned:,} students {'is' if missing == 1 else 'are'} missing"
    return f"{said}."


def _answer(summary: "Summary") -> str:
    reached = summary.claims.conclusion
    if reached.answer == "untold":
        return f"No answer: {reached.text.partition(': ')[2]}"
    margin = wording.margins(b.margin for b in reached.each)
    if reached.answer == "none":
        return f"No: no distilled set beats the best coreset by more than {margin} (shown)"
    every = Counter(b.method for b in reached.each)
    if reached.answer == "some":
        won = Counter(b.method for b in reached.each if b.word == "better")
        always = len(won) == len(every) and won == every
        names = ", ".join(
            f"{m} beats every coreset in {n} of {every[m]} settings{_places(summary, m) if n < every[m] else ''}"
            for m, n in won.items()
        )
        return f"{'Yes' if always else 'In part'}: {names}"
    words = {b.word for b in reached.each}
    which = "some results lean" if "leans better" in words else "no result leans"
    return f"Open: {which} towards distilling"


def _places(summary: "Summary", method: str) -> str:
    """Where a method beats every coreset, if the list is short: protocols by budget, or each setting by itself."""
    own = [v.setting for v in _distilled(summary) if v.method == method and v.against_coresets == "better"]
    if len(own) > 3:
        return ""
    if len({s.student for s in summary.settings}) > 1:
        return f" ({'; '.join(_where(summary, setting).strip() for setting in own)})"
    by_budget = grouped(own, lambda s: s.budget).items()
    parts = (f"{', '.join(s.protocol for s in here)} at {wording.budget(budget)}" for budget, here in by_budget)
    return f" ({'; '.join(parts)})"


def _only(summary: "Summary") -> str:
    """Which protocols can be read, where some cannot at all."""
    out = {u.setting for u in summary.unreadable}
    protocols = dict.fromkeys(s.protocol for s in summary.settings if s not in out)
    some = protocols.keys() < {s.protocol for s in summary.settings}
    return f"Only {' and '.join(protocols)} can be read." if some and protocols else ""


def _distilled(summary: "Summary") -> list[Verdict]:
    return [v for v in summary.verdicts if v.family == "distillation" and v.coresets and not v.outside]


def _counts(summary: "Summary") -> Iterator[str]:
    own = _distilled(summary)
    if not any(c.n for v in own for c in v.coresets.values()):
        return
    words = Counter(str(v.against_coresets) for v in own)
    better, worse = (_leaning(words[f"leans {word}"]) for word in ("better", "worse"))
    parts = [f"{_do(words['better'], 'beat')} every coreset{better}"]
    parts += [f"{_do(words['worse'], 'lose')} to at least one{worse}"]
    parts += [f"{_do(words['same'], 'equal')} the best"] if words["same"] else []
    parts += [f"{words['open']} {'is' if words['open'] == 1 else 'are'} open (not equal)"] if words["open"] else []
    yield f"{wording.count(len(own), 'distilled result')}: {', '.join(parts)}."


def _do(number: int, verb: str) -> str:
    return f"{number} {verb}{'s' if number == 1 else ''}"


def _leaning(number: int) -> str:
    return f" ({number} more lean{'s' if number == 1 else ''} that way)" if number else ""


def _more(summary: "Summary") -> Iterator[str]:
    """What fills the remaining lines, the most important first."""
    yield from (f"{line}." for line in summary.failed.sentences())
    if summary.failures:
        yield f"Failed: {wording.count(len(summary.failures), 'job')}; the page gives the messages."
    if unreadable := readable.sentences(summary.unreadable):
        yield f"{'; '.join(unreadable)}."
    yield from _fallen(summary)
    pairs = [(v, other, c) for v in _distilled(summary) for other, c in v.coresets.items() if c.n]
    yield from _clearest(summary, pairs)
    yield from _random(summary)
    yield from _nearest(summary)
    if summary.given and summary.trained and len(summary.unreadable) < len(summary.settings):
        yield _given(summary.run)
    yield from _sees([c for _, _, c in pairs])
    if costed := spent(summary):
        yield f"{costed}."
    if less := [c.method for c in summary.claims.consistent if c.shown]:
        verb = "covers" if len(less) == 1 else "cover"
        yield f"{wording.joined(less)} {verb} the data less well than the best coreset in every independent reading."


def _fallen(summary: "Summary") -> Iterator[str]:
    """Methods whose students are at chance under teachers' labels where those of random sets are not.

    What the same sets reach under hard labels stands beside: if that is above chance, their images teach, and it is
    likely that the teachers misread them.
    """
    run, chance, images = summary.run, summary.judged.chance, summary.run.data["images"]["test"]
    there = {a.setting for a in summary.accuracies if a.method == REFERENCE} - {u.setting for u in summary.unreadable}
    own, parts = [a for a in summary.accuracies if a.method in summary.methods and a.setting in there], []
    for (method, *_), sets in grouped(own, lambda a: (a.method, *a.setting[1:])).items():
        fallen = [readable.at_chance(a.interval, chance, images) for a in sets]
        hard = [run.labels(a.setting.protocol) == "hard" for a in sets]
        if soft := [a.setting for a, low, plain in zip(sets, fallen, hard, strict=True) if low and not plain]:
            under = wording.joined([setting.protocol for setting in soft])
            others = [a for a, low, plain in zip(sets, fallen, hard, strict=True) if plain and not low]
            best = max(others, key=lambda a: a.interval.mean, default=None)
            but = f" ({wording.percent(best.interval.mean)} % under {best.setting.protocol})" if best else ""
            parts.append(f"{method}{_where(summary, soft[0]._replace(protocol=under))}{but}")
    if parts:
        yield f"At chance ({wording.percent(chance)} %) where random sets are not: {'; '.join(parts)}."


def _clearest(summary: "Summary", pairs: Sequence[tuple[Verdict, str, Comparison]]) -> Iterator[str]:
    shown = [each for each in pairs if each[2].verdict in ("better", "worse")]
    if not shown:
        return
    v, other, c = max(shown, key=lambda each: max(each[2].lo, -each[2].hi))
    side, (lo, hi) = ("above", (c.lo, c.hi)) if c.mean > 0 else ("below", (-c.hi, -c.lo))
    size = wording.points(abs(c.mean)).removeprefix("+")
    where, bounds = _where(summary, v.setting), wording.bounds(lo, hi)
    yield f"Clearest difference: {v.method}{where} is {size} points {side} {other} {bounds}."


def _random(summary: "Summary") -> Iterator[str]:
    each = summary.claims.beside_random
    if any(v.random and v.random.n for v in _distilled(summary)):
        shown, better = sum(b.shown for b in each), sum(b.word == "better" for b in each if not b.shown)
        margin = wording.margins(b.margin for b in each)
        yield (
            f"Against random sets of the same size: {better} better, {shown} not better by more than {margin}, "
            f"{len(each) - shown - better} open."
        )


def _nearest(summary: "Summary") -> Iterator[str]:
    """The open result that is closest to the best coreset, or furthest above it."""
    open_ = [v for v in _distilled(summary) if v.against_coresets not in ("better", "worse", "same")]
    least = [(v, *min(v.coresets.items(), key=lambda item: item[1].mean)) for v in open_]
    if known := [each for each in least if math.isfinite(each[2].mean)]:
        v, other, c = max(known, key=lambda each: each[2].mean)
        word = "open" if v.against_coresets == "open" else f"{v.against_coresets}, not shown"
        yield (
            f"Closest to the best coreset: {v.method}{_where(summary, v.setting)}, {wording.points(c.mean)} points "
            f"against {other} {wording.bounds(c.lo, c.hi)}: {word}."
        )


def _given(run: Manifest) -> str:
    made = [job for job in run.of_kind("condense") if job.labels["method"] in run.deterministic]
    drawn = [job for job in made if any(need.drawn for need in run.needs(job).values())]
    own = wording.few(list(dict.fromkeys(str(job.labels["method"]) for job in drawn)))
    what = f"images of {own}" if own else "sets and labels"
    return f"This holds for these teachers; other teachers would give other {what}."


def _sees(compared: Sequence[Comparison]) -> Iterator[str]:
    known = [c for c in compared if math.isfinite(c.detectable)]
    if not known:
        return
    half, sets = median(c.detectable for c in known), max(c.n for c in known)
    said = f"This study can detect differences of about {100 * half:.2g} points (after correction)."
    if half <= LOOKED_FOR:
        yield said
        return
    needed = [
        power.smallest(lambda n, c=c: power.difference_power(LOOKED_FOR, c.spread.error(n), c.level))  # type: ignore[misc]
        for c in known
    ]
    there = sorted(n for n in needed if n)
    enough = len(there) > len(needed) / 2
    more = (
        f"about {there[len(needed) // 2]} sets per method (now {sets})" if enough else "more test images, not more sets"
    )
    yield f"{said} To detect {100 * LOOKED_FOR:g} points, it needs {more}."


def spent(summary: "Summary") -> str:
    """What a set of each method cost, without the full stop; empty where costs cannot be compared."""
    rows = costs.made_here(summary.frame.costs.to_pylist())
    own = costs.taken([row for row in rows if summary.methods[row["method"]] != CONTROL])
    order = sorted(own, key=lambda m: summary.methods[m] != "distillation")
    lines = costs.shared({m: own[m] for m in order}, summary.methods, TOLD)
    families = grouped(lines, lambda line: line[0]).values()
    parts = [", ".join(f"{wording.few(methods)} {span}" for _, methods, span in each) for each in families]
    return f"Time per set, teachers included: {'; '.join(parts)}" if parts else ""


def _take(summary: "Summary") -> Iterator[str]:
    """What to use for the smallest and for the largest number of images, for each student."""
    images = [r for r in summary.advice if r.limit.kind == "images"]
    students = list(dict.fromkeys(choice.student for r in images for choice in r.choices))
    for student in students:
        said = stretches(images, student)
        for _, last, choice in said[:1] + said[1:][-1:]:
            yield last.line(choice)


def _where(summary: "Summary", setting: Setting) -> str:
    """The budget, and the protocol and student where the run has several."""
    inside = [v.setting for v in summary.verdicts if not v.outside]
    parts = [f" under {setting.protocol}"] if len({s.protocol for s in inside}) > 1 else []
    parts += [f" with {setting.student}"] if len({s.student for s in inside}) > 1 else []
    return "".join([*parts, f" at {wording.budget(setting.budget)}"])
