"""The page of an answer: what to keep in a minute, then the chart, classes, pictures, cost; one file, no network."""

import math
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag, valued
from decoct.report.page.parts import chart, document, note, section, stacked
from decoct.shrinking.answer import Answer, Class, Point
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import Pool
from decoct.shrinking.written.chart import figure, margin, marks, methods, share, spoken
from decoct.shrinking.written.pictures import Thumbs, problems, strips

CLASSES = 30  # that the page lists
CHECK = "check"  # what was decided where the images were only looked at
PARTS = {
    "reading": "reading the images",
    "choosing": "what methods choose by",
    "race": "the race between methods",
    "test": "the test",
}
READING = (
    "Pale and joined: the race, on train images that were held out, which decides what is tested. Filled: the test, "
    "with 95 % intervals, from which every number of the answer comes. Dashed: all images, with their interval. "
)
NOTHING = {
    "not_shown": "No smaller set was shown to be enough",
    "not_decidable": "There are too few test images to decide",
    "curve": "What more images bring",
}


def render(answer: Answer, pool: Pool, kept: Set | None = None) -> str:
    """The page as text.

    Args:
        answer: what was found.
        pool: that the answer is about.
        kept: its rows in the set, in the order in which they were chosen, or what was made; None where there is no set.
    """
    lost = _order(answer.classes)
    found = [*problems(answer.problems, Thumbs(pool))]
    there = set(pool.class_names)
    shown = [c.name for c in lost if c.name in there] or list(pool.class_names)
    wrong = section("problems", "Problems with the images", *(found or [note("Nothing was found.")]))
    parts = [
        section("sizes", "Accuracy over size", *_sizes(answer)),
        section("classes", "Classes", *_classes(lost)) if lost else "",
        section("kept", "The set", *_kept(answer, pool, kept, shown)) if kept is not None else "",
        wrong,
        section("cost", "Cost", *_cost(answer)),
        section("files", "Files", *_files(answer)),
    ]
    if answer.decided == CHECK:
        parts = [wrong]
    title = f"{answer.source} · decoct"
    style = files("decoct.shrinking.written").joinpath("page.css").read_text("utf-8")
    return document(title, _header(answer), join(parts), _holes(answer), Markup(), style)


def headline(answer: Answer) -> str:
    """The answer in a few words; of a mere check, how many images have a problem."""
    if answer.made is not None:
        enough = " are enough" if answer.decided == "shown" else ""
        return f"{answer.images:,} images made from {answer.candidates:,}{enough}"
    if answer.images is not None:
        enough = " are enough" if answer.decided == "shown" else ""
        return f"{answer.images:,} of {answer.candidates:,} images{enough}"
    if answer.decided == CHECK:
        images = len({path for problem in answer.problems for path in problem.paths})
        return f"{wording.count(images, 'image')} to look at" if images else "Nothing is wrong with the images"
    return NOTHING.get(answer.decided, "No answer yet")


def _header(answer: Answer) -> Markup:
    first, *rest = answer.said or ("",)
    return join(
        [
            tag("p", *_question(answer), class_="eyebrow"),
            tag("h1", headline(answer)),
            tag("p", first, class_="said-first"),
            tag("ul", *(tag("li", sentence) for sentence in rest), class_="said-more") if rest else "",
            tag("dl", *tiles, class_="tiles") if (tiles := [*_tiles(answer)]) else "",
        ]
    )


def _question(answer: Answer) -> tuple[object, ...]:
    if answer.decided == CHECK:
        return "What is wrong with ", name(answer.source), "?"
    return "Which images of ", name(answer.source), " does ", name(answer.learner), " need?"


def _tiles(answer: Answer) -> Iterator[Markup]:
    """The numbers of the answer, large."""
    if answer.small:
        yield _tile(
            "this set", f"{wording.percent(answer.small.mean)} %", wording.bounds(answer.small.lo, answer.small.hi)
        )
    if answer.full:
        title = f"all {answer.candidates:,} images"
        yield _tile(title, f"{wording.percent(answer.full.mean)} %", wording.bounds(answer.full.lo, answer.full.hi))
    if answer.loss:
        most = f"at most {wording.margin(round(answer.loss.hi, 4))}" if math.isfinite(answer.loss.hi) else ""
        yield _tile("lost", wording.margin(round(answer.loss.mean, 4)).replace("-", wording.MINUS), most)
    if answer.random_needed:
        mean, lo, hi = answer.random_needed
        yield _tile("random images needed", _images(mean), f"[{_images(lo)}, {_images(hi)}]")
    if answer.smallest_margin is not None:
        more = f"{answer.images_needed:,} test images would do for what you asked" if answer.images_needed else ""
        yield _tile("closest that can be shown", wording.margin(round(answer.smallest_margin, 4)), more)


def _tile(title: str, value: str, small: str) -> Markup:
    return tag("div", tag("dt", title), tag("dd", tag("b", value), tag("small", small)))


def _images(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "more than all"


def _holes(answer: Answer) -> Markup:
    if not answer.unfinished:
        return Markup()
    said = f"{answer.unfinished.rstrip('.')}. The same command continues."
    return tag("aside", tag("p", tag("b", "Not finished: "), said), class_="holes", role="status")


def _sizes(answer: Answer) -> Iterator[Markup]:
    drawn = figure(answer)
    if drawn is None:
        yield note("Nothing has been trained yet.")
        return
    named = [(m, join([mark.svg(), name(m)])) for m, mark in marks(answer).items() if m in methods(answer)]
    yield facets.keys("method", sorted(named, key=lambda pair: methods(answer).index(pair[0])))
    yield tag("div", chart(drawn, "Accuracy in percent", wide=True), role="group", aria_label=spoken(answer))
    asked = margin(answer)
    yield note(READING, f"Dotted: {wording.margin(asked)} less. " if asked is not None else "", _tested(answer))
    yield _grid(answer)


def _tested(answer: Answer) -> str:
    images, folds = answer.test.get("images"), answer.test.get("folds")
    if not images:
        return ""
    if answer.test.get("how") == "folds":
        return (
            f"There was no test folder: each of {images:,} images was tested once, in {folds} folds with a race each."
        )
    if answer.test.get("how") == "set_aside":
        return f"There was no test folder: {images:,} images were set aside for the test, and are in no set."
    return f"The test images are {images:,}, from the folder that you have for them."


def _grid(answer: Answer) -> Markup:
    """Methods down, sizes across; what the test said is bold, what the race dropped is pale."""
    by_size = grouped(answer.points, lambda p: share(p.fraction))
    sizes = sorted(by_size, key=float)
    heads = [
        join([f"{round(float(np.mean([p.images for p in by_size[size]]))):,}", tag("small", f" {size} %")])
        for size in sizes
    ]
    placed = grouped(answer.points, lambda p: (p.method, share(p.fraction)))
    drawn = marks(answer)
    rows = [
        cells(
            tag("span", drawn[m].svg(), name(m), data_method=m),
            *(_cell(answer, placed.get((m, size), ())) for size in sizes),
        )
        for m in methods(answer)
    ]
    return table(columns("method", *heads), rows, class_="grid")


def _cell(answer: Answer, own: Sequence[Point]) -> Markup:
    if not own:
        return Markup(wording.NONE)
    point = next((p for p in own if p.on == "test"), own[0])
    a, tested = point.accuracy, point.on == "test"
    number = wording.percent(a.mean)
    taken = tested and point.method == answer.method and share(point.fraction) == share(answer.fraction)
    word = (
        "the set" if taken else f"test: {point.status}" if tested else "" if point.status == "racing" else point.status
    )
    made = stacked(tag("b", number) if tested else number, wording.bounds(a.lo, a.hi), word, sort=a.mean)
    look = "taken" if taken else "gone" if point.status == "dropped" else None
    return tag("div", made, class_=look) if look else made


def _order(classes: Sequence[Class]) -> list[Class]:
    """The class that loses most first; one that was not measured last."""
    return sorted(classes, key=lambda c: (math.isnan(c.full - c.small), c.small - c.full, c.name))


def _classes(lost: Sequence[Class]) -> Iterator[Markup]:
    head = columns("class", "images", "in the set", "all images", "this set", "loses", "at most")
    rows = [
        cells(
            name(c.name),
            valued(c.images, f"{c.images:,}"),
            valued(c.kept, f"{c.kept:,}"),
            valued(c.full, _percent(c.full)),
            valued(c.small, _percent(c.small)),
            valued(c.full - c.small, _points(c.full - c.small)),
            valued(c.bound, _points(c.bound)),
        )
        for c in lost[:CLASSES]
    ]
    rest = f"The {CLASSES} of {len(lost):,} classes that lose most are listed. " if len(lost) > CLASSES else ""
    yield table(head, rows)
    yield note(
        rest,
        "Accuracies are on test images. A class has few of them, so its loss is rough: the last column is a one-sided "
        "95 % bound for each class by itself, and the top of a long list owes much to chance.",
    )


def _kept(answer: Answer, pool: Pool, kept: Set, order: Sequence[str]) -> Iterator[Markup]:
    by = f", {'made' if isinstance(kept, Made) else 'chosen'} by {answer.method}" if answer.method else ""
    others = "your own" if isinstance(kept, Made) else "the others"
    yield note(f"{len(kept):,} images{by}. All are in kept.csv, {others} in left_out.csv with the reason.")
    yield strips(pool, kept, order, Thumbs(pool))


def _cost(answer: Answer) -> Iterator[Markup]:
    seconds = {part: s for part, s in answer.cost.items() if part != "pays_after"}
    if not seconds:
        yield note("Nothing was measured.")
        return
    parts = PARTS if answer.made is None else PARTS | {"choosing": "making the set"}
    rows = [cells(parts.get(part, part), valued(s, wording.seconds(s))) for part, s in seconds.items()]
    total = sum(s for s in seconds.values() if math.isfinite(s))
    after = answer.cost.get("pays_after", math.nan)
    if math.isfinite(after):
        what = "Choosing" if answer.made is None else "Making the set"
        yield tag(
            "p",
            f"{what} pays after {wording.count(math.ceil(after), 'training')} on the set instead of on all images.",
        )
    yield table(
        columns("part", "time"), [*rows, cells(tag("b", "all"), valued(total, tag("b", wording.seconds(total))))]
    )


def _files(answer: Answer) -> Iterator[Markup]:
    if answer.files:
        yield tag("dl", *(tag("div", tag("dt", key), tag("dd", tag("code", at))) for key, at in answer.files.items()))
    else:
        yield note("No set was written.")


def _percent(value: float) -> str:
    return f"{wording.percent(value)} %" if math.isfinite(value) else wording.NONE


def _points(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", wording.MINUS) if math.isfinite(value) else wording.NONE
