"""Who covers the data? Coverage of held-out images, of every distillation method beside every coreset.

Better or worse is said where coverage and a distance of distributions show it against the same coreset and the modes
do not show the opposite, in features that made no set, see ``_agreed``. A random coreset gives a set for each seed, a
deterministic one the same set from the same features. Where it has one set, its reading is a known number, as its
accuracy's set is, and contrasts with it are a one-sample t over the other's sets and condition on that set. All
condition on the held-out images, which are the same for every set, so that no interval over images enters a contrast.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import bullets, chip, content, fold, note, stacked
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections.beyond import _agreed
from decoct.report.sections.beyond._agreed import Check, Coverage, Covers
from decoct.report.sections.beyond._independent import independent
from decoct.report.sections.beyond.consistent import sentences
from decoct.report.standing import Name, Standing
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.intervals import ALPHA
from decoct.report.stats.welch import Contrast, welch

if TYPE_CHECKING:
    from decoct.report.summary import Summary


Rows = Sequence[Mapping[str, Any]]
MOST = 3  # clashes that a sentence names


def coverages(frame: Frame, standings: Sequence[Standing]) -> tuple[Coverage, ...]:
    """One for each extractor, budget and distillation method that has a reading, with the words after Holm."""
    run, every = frame.manifest, {metric for kind in _agreed.KINDS for metric in kind}
    rows = [row for row in frame.metrics.to_pylist() if row["value"] is not None and row["metric"] in every]
    said = {(s.budget, s.method, s.name): s for s in standings}
    families, fixed = run.families, run.deterministic
    coresets = [other for other in families if families[other] == "coreset"]
    extractors = list(dict.fromkeys(row["extractor"] for row in rows))
    apart, places = independent(run, extractors), grouped(rows, lambda row: (row["extractor"], row["budget"]))
    covered = []
    for extractor, budget in sorted(places, key=lambda p: (extractors.index(p[0]), run.budget_order(p[1]))):
        here = places[extractor, budget]
        name, distance, modes = (_agreed.reading(map(Name.of, here), kind) for kind in _agreed.KINDS)
        if name is None:
            continue

        def against(n: Name, method: str, floor: float = 0.0, here: Rows = here) -> dict[str, Contrast]:
            sign = -1 if n.metric in _agreed.DISTANCE else 1
            values = {m: [sign * x for x in own] for m, own in _by_method(here, n).items()}
            return {
                other: welch(values.get(method, []), values.get(other, []), floor, (method in fixed, other in fixed))
                for other in coresets
            }

        values, floor = _by_method(here, name), _floor(here, name, run.data["images"][_agreed.AGAINST])
        for method in (m for m in families if families[m] == "distillation" and m in values):
            s = said.get((budget, method, name))
            beside, z = (s.word, s.z) if s else ("", math.nan)
            there = fmean(values[method]), against(name, method, floor)
            far, many = (Check(n.metric, against(n, method)) if n else None for n in (distance, modes))
            covered.append(Coverage(method, budget, name, *there, beside, z, far, many, extractor in apart))
    return tuple(_coverage_worded(covered))


def coverage_sentences(covered: Sequence[Coverage]) -> tuple[str, ...]:
    """One for each method, over budgets and independent extractors, with the contrasts that lie furthest apart."""
    told = [c for c in covered if c.independent]
    tested = sum(len(c.contrasts) for c in told)
    return tuple(_coverage_sentence(own, tested) for own in grouped(told, lambda c: c.method).values())


def overall_coverage(covered: Sequence[Coverage]) -> str:
    """One sentence over everything: how often a method covers more than every coreset, and less than one."""
    if not covered:
        return "Coverage of held-out images was not measured for any distilled set"
    if not any(c.contrasts for c in covered):
        return "This study has no coreset to compare the coverage of distilled sets with"
    told = [c for c in covered if c.independent]
    if not told:
        return _agreed.NONE_INDEPENDENT
    if all(c.missing for c in told):
        return _agreed.missing(told[0].missing)
    if all(not math.isfinite(x.p_better) for c in told for x in c.contrasts.values()):
        return "Too few sets to say which cover the held-out images better: one method of a pair needs two sets"
    words, places = Counter(c.word for c in told), wording.count(len(told), "comparison")
    extractors = list(dict.fromkeys(c.name.extractor for c in told))
    said = (
        f"Distilled sets cover held-out images better than every coreset in {words['better']} of {places} (method × "
        f"budget × extractor), less well than at least one in {words['worse']}; "
        f"{words['open'] or 'none'} {'is' if words['open'] == 1 else 'are'} open"
    )
    if split := [c for c in told if c.word == "open" and c.clashes()]:
        named = ", ".join(f"{c.method} at {wording.budget(c.budget)} ({_clash(c)})" for c in split[:MOST])
        said += f"; readings disagree on {named}" + (f" and {len(split) - MOST} more" if len(split) > MOST else "")
    if len(extractors) > 1:
        names, clash = " and ".join(extractors), ", ".join(contradictions(told))
        said += f"; {names} disagree on {clash}" if clash else ""
    return said


def contradictions(covered: Sequence[Coverage]) -> Iterator[str]:
    """Methods and budgets that are better in one extractor's features and worse in another's."""
    for (method, budget), own in grouped(covered, lambda c: (c.method, c.budget)).items():
        better, worse = ([c.name.extractor for c in own if c.word == word] for word in ("better", "worse"))
        if better and worse:
            where = f"better in the features of {', '.join(better)}, worse in those of {', '.join(worse)}"
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
        said.append(f"against random sets of the same size: {counts}{span}")
    return "; ".join(said)


def _contrast_said(c: Coverage, other: str, x: Contrast) -> str:
    place = f"{wording.budget(c.budget)}, {c.name.extractor}"
    ends = f" [{_signed(x.lo)}, {_signed(x.hi)}]" if math.isfinite(x.lo) else ""
    return f"{_signed(x.mean)}{ends} over {other} ({place}, sets: {x.n[0]} and {x.n[1]})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", wording.MINUS)


def _clash(c: Coverage) -> str:
    return "; ".join(f"{said} than {', '.join(others)}" for said, others in c.clashes().items())


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
    told = [c for c in covered if c.independent]
    better = iter(comparisons.holm([c.p_better for c in told]))
    asked = [(i, other, c.p_worse(other)) for i, c in enumerate(covered) if c.independent for other in c.contrasts]
    worse = comparisons.holm([p for *_, p in asked])
    for i, c in enumerate(covered):
        p = next(better) if c.independent else 1.0
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
        metric += f", beside {c.distance.metric.replace('_', ' ')}" if c.distance else ""
        read = tag("span", name(c.name.extractor), tag("small", metric), class_="stacked")
        mean = stacked(valued(c.mean, wording.reading(c.mean)), c.beside, z)
        behind = tag("small", f"than {', '.join(c.behind)}", class_="number names") if c.behind else ""
        clash = tag("small", _clash(c), class_="names") if c.word == "open" and c.clashes() else ""
        word = join([chip(c.word), behind, clash]) if c.independent else tag("small", "had a part in the sets")
        contrasts = (_contrast_cell(c.contrasts.get(coreset)) for coreset in coresets)
        rows.append(cells(view.method(c.method), facets.budget(c.budget), read, mean, word, *contrasts))
    over = (join(["over ", view.method(coreset)]) for coreset in coresets)
    return table(columns("method", "budget", "features of", "covers", "against every coreset", *over), rows)


def _contrast_cell(x: Contrast | None) -> Markup:
    if x is None or not math.isfinite(x.mean):
        return Markup(wording.NONE)
    ends = f"[{_signed(x.lo)}, {_signed(x.hi)}]" if math.isfinite(x.lo) else "no interval"
    return stacked(_signed(x.mean), ends, f"sets: {x.n[0]} and {x.n[1]}", sort=x.mean)


ABOUT = (
    "Coverage of the held-out images (val), over its expectation where that was measured: a coreset's images are in "
    "train. A word needs a distance of distributions (MMD, or sliced Wasserstein) that shows the same against the "
    "same coreset, and modes that do not show the opposite; readings that disagree do so each by itself. Contrasts are "
    "Welch's t over sets; a deterministic method's one set stands as it is, and all contrasts condition on it and on "
    "the held-out images. Better than every coreset: intersection-union, then Holm. Worse than at least one: Holm over "
    "all contrasts, one-sided at 2.5 % each. z: against random sets. Places: budgets in the features of each extractor "
    "that took no part in making a set."
)


def show(summary: "Summary") -> Markup:
    """Every contrast, and each method's range; empty where coverage was not measured."""
    claim = summary.claims.of("coverage")
    return content(
        coverage_table(summary, summary.claims.coverages),
        fold("Method by method", bullets(claim.methods), note(ABOUT)) if claim.methods else "",
    )


def _say(summary: "Summary") -> str:
    return "; ".join(sentences(c for c in summary.claims.consistent if c.behind))


SECTION = Section("Coverage of held-out images", 10, show, _say)
