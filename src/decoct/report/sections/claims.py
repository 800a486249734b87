"""The four claims of a study: does distilling beat random, beat every coreset, at what cost, and who covers the data?

Each is asked of the results at hand, for every distillation method, and worded with intervals. What is counted as shown
has its word after Holm, see ``verdict.verdicts`` and ``Coverage``; intervals are each at its own level.

Who covers the data is asked of held-out images, in each extractor's features. A random coreset gives a set for each
seed, a deterministic one the same set from the same features. Where it has one set, its reading is a known number, as
its accuracy's set is, and contrasts with it are a one-sample t over the other's sets and condition on that set. All
condition on the held-out images, which are the same for every set, so that no interval over images enters a contrast.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any, Literal

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import block, bullets, chip, fold, note, section, stacked
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections import cost
from decoct.report.sections.cost import Multiple
from decoct.report.sections.standing import FIRST, Name, Standing
from decoct.report.sections.verdict import Verdict, asked
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.comparisons import Comparison, Word
from decoct.report.stats.intervals import ALPHA
from decoct.report.stats.welch import Contrast, welch

WHOM = "than every coreset"
NO_METHOD = "This study has no distillation method: nothing can be said"
UNTRAINED = "No pair of students has been trained yet: nothing can be said"
ABOUT = {
    "random": "Paired differences under the same protocol, student and budget. Better and worse: the words of the "
    "verdict, after Holm. The intervals are each at their own level; "
    "those of the smallest and the largest are of what was picked, and do not allow for that.",
    "coresets": "Better than every coreset: better than each, random included (intersection-union), after Holm over "
    "methods and settings. Worse: than at least one, after Holm over all comparisons of two methods.",
    "cost": "Device time is how long an accelerator was held; where none was, it is processor time: wall time in a "
    "busy pool means little. Geometric means over sets, with 95 % intervals from Welch's t on the logs; a single set "
    "stands as it was timed, and two single ones have no interval. What sets share, such as a teacher, was timed once "
    "and is charged in full on both sides. Small: the construction alone, as if all else were there already. A dash: "
    "unlike machines, or a time that is not known.",
    "coverage": "Coverage of the held-out images (val), beside its expectation where that was read: a coreset's images "
    "are among train. Welch's t over sets. Where a method is deterministic its one set stands as it is, and contrasts "
    "condition on it; all condition on the held-out images. Better than every coreset is intersection-union, then "
    "Holm; worse than at least one is Holm over all contrasts, one-sided at 2.5 % each. z: beside random sets.",
}
METRICS, AGAINST = ("coverage_ratio", "coverage"), "val"  # the first that was read; a coreset's images are in train
Covers = Literal["better", "worse", "open"]


@dataclass(frozen=True)
class Claim:
    """A question, and what the results say to it: one sentence over all methods, and one for each distilling one."""

    key: str
    question: str
    answer: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """A distillation method at one budget in one extractor's features.

    Attributes:
        method: its label.
        budget: such as "ipc=10".
        name: of the reading: coverage of val beside its expectation, or as it is; by class where it was read so.
        mean: of the method's sets.
        contrasts: method minus every coreset, random included.
        beside: what z says beside random sets of the same size, see ``Standing``; empty where it says nothing.
        z: of the mean; NaN where unknown.
        word: *better* than every coreset (intersection-union, then Holm over all methods, budgets and extractors), or
            *worse* than at least one (Holm over all contrasts), each one-sided at 2.5 %; else *open*.
        behind: the coresets that it is shown to be worse than.
    """

    method: str
    budget: str
    name: Name
    mean: float
    contrasts: Mapping[str, Contrast]
    beside: str
    z: float
    word: Covers = "open"
    behind: tuple[str, ...] = ()

    @property
    def p_better(self) -> float:
        """The largest over the coresets; an untested one counts as 1."""
        return max((1.0 if math.isnan(c.p_better) else c.p_better for c in self.contrasts.values()), default=1.0)


@dataclass(frozen=True)
class Claims:
    """The four claims with the numbers behind the last two; those behind the first two are the verdicts."""

    all: tuple[Claim, ...]
    multiples: tuple[Multiple, ...]
    coverages: tuple[Coverage, ...]

    @property
    def price(self) -> tuple[str, ...]:
        """What distilled sets took beside the coresets, in one sentence; none without a distilled set."""
        return tuple(claim.answer for claim in self.all if claim.key == "cost" and claim.methods)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        return {
            "questions": [asdict(claim) for claim in self.all],
            "cost": [asdict(m) for m in self.multiples],
            "coverage": [asdict(c) | {"name": c.name._asdict()} for c in self.coverages],
        }


def claims(frame: Frame, verdicts: Sequence[Verdict], covered: Sequence[Coverage]) -> Claims:
    """Ask a run the four questions."""
    distilled = [v for v in verdicts if v.family == "distillation"]
    multiples = cost.multiples(frame)
    takes, covers = cost.overall(multiples), overall_coverage(covered)
    if "distillation" not in frame.manifest.families.values():
        takes = covers = NO_METHOD
    four = (
        _against_random(distilled),
        _against_coresets(distilled),
        Claim("cost", "At what multiple of construction cost?", takes, cost.sentences(frame, multiples)),
        Claim("coverage", "Who covers the data better?", covers, coverage_sentences(covered)),
    )
    return Claims(four, multiples, tuple(covered))


def _against_random(distilled: Sequence[Verdict]) -> Claim:
    """Paired comparisons, by the words of the verdicts."""
    question = "Does a distilled set beat random of the same size?"
    pairs = [(v, v.random) for v in distilled if v.random is not None]
    if not pairs:
        missing = "This study has no random selection: nothing can be said" if distilled else NO_METHOD
        return Claim("random", question, missing, ())
    if not any(c.n for _, c in pairs):
        return Claim("random", question, UNTRAINED, ())
    lines = []
    for method, own in grouped(pairs, lambda pair: pair[0].method).items():
        said = f"{method}: {_counts([c.verdict for _, c in own], 'than random')}"
        alike = sum(c.verdict == "same" for _, c in own)
        said += f"; the same within the margin in {alike}" if alike else ""
        lines.append(f"{said}; {_range([(v.setting, REFERENCE, c) for v, c in own])}")
    compared = [c for _, c in pairs]
    what = _counts([c.verdict for c in compared], "than random of the same size", asked(len(pairs)))
    answer = f"Distilled sets are {what}; {_points(compared)}"
    return Claim("random", question, _untold(compared) or answer, tuple(lines))


def _against_coresets(distilled: Sequence[Verdict]) -> Claim:
    """Better than each coreset, worse than at least one, by the words of the verdicts."""
    question = "Does any distilled set beat every coreset?"
    beside = [v for v in distilled if v.coresets]
    every = [c for v in beside for c in v.coresets.values()]
    if not beside:
        missing = "This study has no coreset: nothing can be said" if distilled else NO_METHOD
        return Claim("coresets", question, missing, ())
    if not any(c.n for c in every):
        return Claim("coresets", question, UNTRAINED, ())
    lines = []
    for method, own in grouped(beside, lambda v: v.method).items():
        least = _range([(v.setting, *_least(v)) for v in own])
        said = _counts([v.against_coresets for v in own], WHOM)
        lines.append(f"{method}: {said}; to the coreset that does best beside it, {least}")
    won = [v for v in beside if v.against_coresets == "better"]
    answer = f"Distilled sets are {_counts([v.against_coresets for v in beside], WHOM, asked(len(beside)))}"
    answer += f": {', '.join(f'{m} in {n}' for m, n in Counter(v.method for v in won).items())}" if won else ""
    return Claim("coresets", question, _untold(every) or answer, tuple(lines))


def _counts(words: Sequence[Word | None], whom: str, what: str = "") -> str:
    what = what or wording.count(len(words), "setting")
    better, worse = (words.count(word) or "none" for word in ("better", "worse"))
    than = " than at least one" if whom == WHOM else ""
    return f"better {whom} in {better} of {what} and worse{than} in {worse}, after Holm"


def _least(verdict: Verdict) -> tuple[str, Comparison]:
    """The coreset with the smallest difference; one without a pair only where there is no other."""
    return min(verdict.coresets.items(), key=lambda item: math.inf if item[1].n == 0 else item[1].mean)


def _untold(compared: Sequence[Comparison]) -> str:
    """What is said where no comparison can show anything; empty if one can."""
    alone = max(c.n for c in compared) < 2
    return "One replicate shows no difference, whatever it is: it takes two or more" if alone else ""


def _points(compared: Sequence[Comparison]) -> str:
    means = [c.mean for c in compared if c.n]
    ends = [wording.points(x) for x in (min(means), max(means))]
    return f"differences {ends[0]} to {ends[1]} points" if len(means) > 1 else f"difference {ends[0]} points"


def _range(compared: Sequence[tuple[Setting, str, Comparison]]) -> str:
    """The smallest and the largest difference, each with its own interval, n, and where it is."""
    known = [each for each in compared if each[2].n]
    if not known:
        return "no pair of students has been trained yet"
    low, high = (pick(known, key=lambda each: each[2].mean) for pick in (min, max))
    return f"difference {_said(*low)}" if len(known) == 1 else f"differences {_said(*low)} to {_said(*high)}"


def _said(setting: Setting, whom: str, c: Comparison) -> str:
    against = "" if whom == REFERENCE else f"{whom}, "
    bounds = wording.bounds(c.lo, c.hi)
    return f"{wording.points(c.mean)} points{' ' * bool(bounds)}{bounds} ({against}{setting}, n = {c.n})"


def show(view: View, claims: Claims) -> Markup:
    """One block for each question; nothing but the answer where there is nothing to say of a method."""
    behind = {"cost": cost.multiples_table(view, claims.multiples), "coverage": coverage_table(view, claims.coverages)}
    blocks = []
    for claim in claims.all:
        more = bullets(claim.methods), behind.get(claim.key, ""), note(ABOUT[claim.key])
        details = fold("Method by method", *more) if claim.methods else ""
        blocks.append(block(tag("h3", claim.question), tag("p", f"{claim.answer}."), details))
    return section("claims", "Four questions", *blocks)


def coverages(frame: Frame, standings: Sequence[Standing]) -> tuple[Coverage, ...]:
    """One for each extractor, budget and distillation method that has a reading, with the words after Holm."""
    run = frame.manifest
    rows = [row for row in frame.metrics.to_pylist() if row["value"] is not None and row["metric"] in METRICS]
    said = {(s.budget, s.method, s.name): s for s in standings}
    families, fixed = run.families, run.deterministic
    extractors = list(dict.fromkeys(row["extractor"] for row in rows))
    places = grouped(rows, lambda row: (row["extractor"], row["budget"]))
    covered = []
    for extractor, budget in sorted(places, key=lambda p: (extractors.index(p[0]), run.budget_order(p[1]))):
        here = places[extractor, budget]
        name = _reading(here)
        if name is None:
            continue
        values = _by_method(here, name)
        floor = _floor(here, name, run.data["images"][AGAINST])
        for method in (m for m in families if families[m] == "distillation" and m in values):
            against = {
                other: welch(values[method], values.get(other, []), floor, (method in fixed, other in fixed))
                for other in families
                if families[other] == "coreset"
            }
            s = said.get((budget, method, name))
            beside, z = (s.word, s.z) if s else ("", math.nan)
            covered.append(Coverage(method, budget, name, fmean(values[method]), against, beside, z))
    return tuple(_coverage_worded(covered))


def coverage_sentences(covered: Sequence[Coverage]) -> tuple[str, ...]:
    """One for each method, over budgets and extractors, with the contrasts that lie furthest apart."""
    tested = sum(len(c.contrasts) for c in covered)
    return tuple(_coverage_sentence(own, tested) for own in grouped(covered, lambda c: c.method).values())


def overall_coverage(covered: Sequence[Coverage]) -> str:
    """One sentence over everything: how often a method covers more than every coreset, and less than one."""
    if not covered:
        return "Coverage of held-out images was read for no distilled set: who covers the data better cannot be said"
    if not any(c.contrasts for c in covered):
        return "This study has no coreset: who covers the data better cannot be said"
    if all(not math.isfinite(x.p_better) for c in covered for x in c.contrasts.values()):
        return "No method has sets enough to say who covers the held-out data better: it takes two of one of the two"
    words, places = Counter(c.word for c in covered), wording.count(len(covered), "comparison")
    extractors = list(dict.fromkeys(c.name.extractor for c in covered))
    said = (
        f"Distilled sets cover held-out data better than every coreset in {words['better'] or 'none'} of {places} "
        f"(method × budget × extractor) and worse than at least one in {words['worse'] or 'none'}, after Holm over "
        f"all; {words['open']} open"
    )
    if len(extractors) > 1:
        names, clash = " and ".join(extractors), ", ".join(contradictions(covered))
        said += f"; {names} contradict each other on {clash}" if clash else ""
        said += "" if clash else f"; {names} are nowhere shown to contradict each other"
    return said


def contradictions(covered: Sequence[Coverage]) -> Iterator[str]:
    """Methods and budgets that are better in one extractor's features and worse in another's."""
    for (method, budget), own in grouped(covered, lambda c: (c.method, c.budget)).items():
        better, worse = ([c.name.extractor for c in own if c.word == word] for word in ("better", "worse"))
        if better and worse:
            where = f"better to {', '.join(better)}, worse to {', '.join(worse)}"
            yield f"{method} at {wording.budget(budget)} ({where})"


def _coverage_sentence(own: Sequence[Coverage], tested: int) -> str:
    words = Counter(c.word for c in own)
    said = [
        f"{own[0].method} against every coreset: better in {words['better'] or 'none'} of "
        f"{wording.count(len(own), 'comparison')}, worse than at least one in {words['worse'] or 'none'} "
        f"(Holm over {tested} contrasts)"
    ]
    pairs = [(c, other, x) for c in own for other, x in c.contrasts.items() if math.isfinite(x.mean)]
    if pairs:
        low, high = (pick(pairs, key=lambda pair: pair[2].mean) for pick in (min, max))
        metric = own[0].name.metric.replace("_", " ")
        ends = [_contrast_said(*pair) for pair in ([low, high] if len(pairs) > 1 else [low])]
        said.append(f"difference in {metric} {' to '.join(ends)}")
    beside = Counter(c.beside for c in own if c.beside)
    if beside and own[0].method != REFERENCE:
        counts = ", ".join(f"{n} {word}" for word, n in beside.items())
        z = [c.z for c in own if math.isfinite(c.z)]
        span = f", z {min(z):+.1f} to {max(z):+.1f}".replace("-", wording.MINUS) if z else ""
        said.append(f"beside random sets of its size {counts}{span}")
    return "; ".join(said)


def _contrast_said(c: Coverage, other: str, x: Contrast) -> str:
    place = f"{wording.budget(c.budget)}, {c.name.extractor}"
    ends = f" [{_signed(x.lo)}, {_signed(x.hi)}]" if math.isfinite(x.lo) else ""
    return f"{_signed(x.mean)}{ends} over {other} ({place}, sets: {x.n[0]} and {x.n[1]})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", wording.MINUS)


def _reading(rows: Sequence[Mapping[str, Any]]) -> Name | None:
    """The first metric that was read against val, by class before pooled."""
    names = {Name.of(row) for row in rows if row["reference"] == AGAINST and row["scope"] in FIRST}
    return min(names, key=lambda n: (METRICS.index(n.metric), FIRST.index(n.scope)), default=None)


def _by_method(rows: Sequence[Mapping[str, Any]], name: Name) -> dict[str, list[float]]:
    same = (row for row in rows if (row["metric"], row["scope"], row["reference"]) == name.what)
    return {method: [row["value"] for row in own] for method, own in grouped(same, lambda row: row["method"]).items()}


def _floor(rows: Sequence[Mapping[str, Any]], name: Name, images: int) -> float:
    """The deviation that counting whole held-out images leaves in one reading, in the reading's own units."""
    grid = intervals.grid_floor(images) / math.sqrt(2)
    plain = [x for own in _by_method(rows, name._replace(metric="coverage")).values() for x in own]
    shown = [x for own in _by_method(rows, name).values() for x in own]
    return grid * fmean(shown) / fmean(plain) if plain and fmean(plain) > 0 else grid


def _coverage_worded(covered: Sequence[Coverage]) -> Iterator[Coverage]:
    better = comparisons.holm([c.p_better for c in covered])
    asked = [(i, other, x.p_worse) for i, c in enumerate(covered) for other, x in c.contrasts.items()]
    worse = comparisons.holm([p for *_, p in asked])
    for i, (c, p) in enumerate(zip(covered, better, strict=True)):
        behind = tuple(o for (at, o, _), q in zip(asked, worse, strict=True) if at == i and q < ALPHA / 2)
        word: Covers = "worse" if behind else "better" if c.contrasts and p < ALPHA / 2 else "open"
        yield replace(c, word=word, behind=behind)


def coverage_table(view: View, covered: Sequence[Coverage]) -> Markup:
    """The contrasts as a table, for the question who covers the data better; nothing where there are none."""
    if not covered:
        return Markup()
    coresets = list(dict.fromkeys(other for c in covered for other in c.contrasts))
    rows = []
    for c in covered:
        z = f"z {c.z:+.1f}".replace("-", wording.MINUS) if math.isfinite(c.z) else ""
        metric = f"{c.name.metric.replace('_', ' ')}, {c.name.scope.replace('_', ' ')}"
        read = tag("span", name(c.name.extractor), tag("small", metric), class_="stacked")
        mean = stacked(valued(c.mean, wording.reading(c.mean)), c.beside, z)
        behind = tag("small", f"than {', '.join(c.behind)}", class_="number names") if c.behind else ""
        word = join([chip(c.word), behind])
        contrasts = (_contrast_cell(c.contrasts.get(coreset)) for coreset in coresets)
        rows.append(cells(view.method(c.method), facets.budget(c.budget), read, mean, word, *contrasts))
    over = (join(["over ", view.method(coreset)]) for coreset in coresets)
    return table(columns("method", "budget", "features of", "covers", "against every coreset", *over), rows)


def _contrast_cell(x: Contrast | None) -> Markup:
    if x is None or not math.isfinite(x.mean):
        return Markup(wording.NONE)
    ends = f"[{_signed(x.lo)}, {_signed(x.hi)}]" if math.isfinite(x.lo) else "no interval"
    return stacked(_signed(x.mean), ends, f"sets: {x.n[0]} and {x.n[1]}", sort=x.mean)
