"""Pictures of a pool on the page: what is wrong with images, and some that were kept and left out."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.data.reading.tree import SPLITS
from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import fold, note
from decoct.shrinking.answer import Problem
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import TRAIN, Pool

SIDE, ROOM = 64, 1_800_000  # pixels of a thumbnail at most; bytes of all in one section
FIRST, SHOWN, MEMBERS = 8, 24, 4  # problems of a kind that are seen at once and in all, and images of each
CLASSES, STRIP = 8, 8  # classes that have a strip, and images in it
KINDS: Mapping[str, tuple[str, str]] = {  # in the order of the page: heading, and what it means
    "leak": (
        "Leaks",
        "A train image is also an image of val or test, or nearly so: results look better than they are.",
    ),
    "two_labels": ("One picture, two labels", "The same picture lies in two classes: at least one label is wrong."),
    "label_issue": ("Label issues", "Models that were trained on other images of yours predict another class."),
    "exact_duplicates": ("Exact duplicates", "Equal files or pictures, of which one stays."),
    "near_duplicates": ("Near-duplicates", "Nearly the same picture, of which one stays."),
    "outlier": ("Outliers", "Unlike the other images of their class."),
    "extension": ("Endings that lie", "The file has another format than its name says."),
    "unreadable": ("Unreadable files", "They do not decode, and are in no set."),
}
ONE_STAYS = ("exact_duplicates", "near_duplicates")


class Thumbs:
    """Pictures of a pool as data that stands in the page, until they have taken their room."""

    def __init__(self, pool: Pool, room: int = ROOM) -> None:
        self.pool, self.room = pool, room

    def show(self, row: int, said: str) -> Markup:
        """An image's picture; nothing where there is no more room."""
        return self.draw(self.pool.images[row], said)

    def draw(self, image: NDArray[np.uint8], said: str) -> Markup:
        """The picture of [C, S, S] pixels; nothing where there is no more room."""
        if self.room <= 0:
            return Markup()
        pixels = np.moveaxis(image, 0, -1)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        picture.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "png", optimize=True)
        data = base64.b64encode(buffer.getvalue()).decode()
        self.room -= len(data)
        look = "pixelated" if max(picture.size) <= 40 else None
        return tag("img", src=f"data:image/png;base64,{data}", alt=said, class_=look)


def problems(found: Sequence[Problem], thumbs: Thumbs) -> Iterator[Markup]:
    """A block for each kind of problem: how many images, and the worst of them with pictures."""
    by_kind = grouped(found, lambda problem: problem.kind)
    by_kind = {kind: by_kind[kind] for kind in [*KINDS, *sorted(set(by_kind) - set(KINDS))] if kind in by_kind}
    if by_kind:
        yield tag(
            "p", "; ".join(f"{_title(kind)[0]}: {_count(own)}" for kind, own in by_kind.items()), ".", class_="said"
        )
    for kind, own in by_kind.items():
        title, meaning = _title(kind)
        worst = sorted(own, key=lambda problem: -problem.score)[:SHOWN]
        rest = f" The {SHOWN} worst are shown; all are in problems.csv." if len(own) > SHOWN else ""
        yield tag("h3", title, " ", tag("small", _count(own)))
        yield note(meaning, rest) if meaning or rest else Markup()
        shown = [_problem(problem, thumbs) for problem in worst]
        yield tag("ul", *shown[:FIRST], class_="problems")
        if more := shown[FIRST:]:
            yield fold(f"{len(more)} more", tag("ul", *more, class_="problems"))


def _title(kind: str) -> tuple[str, str]:
    return KINDS.get(kind, (kind.replace("_", " "), ""))


def _count(own: Sequence[Problem]) -> str:
    """Images, and groups of them where these are fewer."""
    images = sum(len(problem.paths) for problem in own)
    groups = f" in {wording.count(len(own), 'group')}" if len(own) < images else ""
    return wording.count(images, "image" if any(problem.rows for problem in own) else "file") + groups


def _problem(problem: Problem, thumbs: Thumbs) -> Markup:
    """A problem's pictures side by side, and what it is."""
    figures = []
    for k, (row, path, label) in enumerate(zip(problem.rows[:MEMBERS], problem.paths, problem.labels, strict=False)):
        stays = problem.kind in ONE_STAYS and not k
        more = " stays" if stays else f" {SPLITS[thumbs.pool.split[row]]}" if problem.kind == "leak" else ""
        caption = tag("figcaption", name(label), tag("small", more))
        figures.append(tag("figure", thumbs.show(row, path), caption, class_="stays" if stays else None))
    paths = [tag("p", name(path)) for path in problem.paths[:MEMBERS]]
    if (others := len(problem.paths) - MEMBERS) > 0:
        paths.append(tag("p", f"and {others:,} more"))
    label = problem.labels[0] if problem.labels else ""
    detail = problem.detail
    if problem.kind == "label_issue":
        suggested = tag("b", name(detail.removeprefix("suggested: ")))
        said = tag("p", "labelled ", tag("b", name(label)), " → suggested ", suggested)
    else:
        said = tag("p", name(detail)) if detail else Markup()
    return tag("li", tag("div", *figures, class_="side") if figures else "", said, *paths)


def strips(pool: Pool, kept: Set, order: Sequence[str], thumbs: Thumbs) -> Markup:
    """Some images of some classes that are in the set, in the order in which they were chosen, and some that are not.

    Args:
        pool: of all images.
        kept: of them, or a set that was made.
        order: classes by name, those to be shown first.
        thumbs: of the pool.
    """
    gone = pool.rows(TRAIN) if isinstance(kept, Made) else np.setdiff1d(pool.rows(TRAIN), kept)
    rows = [Markup(tag("span", part, class_="head")) for part in ("class", "in the set", "left out")]
    for title in list(dict.fromkeys(order))[:CLASSES]:
        label = pool.class_names.index(title)
        left = gone[pool.labels[gone] == label]
        if isinstance(kept, Made):
            own = kept.images[kept.labels == label]
            shown = [thumbs.draw(image, f"{title}, made") for image in own[:STRIP]]
        else:
            own = kept[pool.labels[kept] == label]
            shown = _shown(own[:STRIP], thumbs)
        spread = np.unique(np.linspace(0, max(len(left) - 1, 0), STRIP).astype(int))[: len(left)]
        rows.append(tag("span", name(title), class_="name"))
        rows.append(_strip(shown, f"in the set: {len(own):,}", title))
        rows.append(_strip(_shown(left[spread], thumbs), f"left out: {len(left):,}", title, "out"))
    return tag("div", join(rows), class_="strips")


def _shown(rows: NDArray[np.int64], thumbs: Thumbs) -> list[Markup]:
    return [thumbs.show(row, thumbs.pool.paths[row]) for row in rows.tolist()]


def _strip(pictures: Sequence[Markup], said: str, title: str, class_: str = "") -> Markup:
    label = f"{title}, {said}, {wording.count(len(pictures), 'picture')}"
    return tag("div", *pictures, class_=class_ or None, data_said=said, role="group", aria_label=label)
