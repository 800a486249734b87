"""What is wrong with the images, without any model: what does not decode, what is there twice, and on both sides."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.shrinking.answer import Problem
from decoct.shrinking.faults.looks import Looks
from decoct.shrinking.faults.twins import NEAR, equal, nearly_equal, preferred
from decoct.shrinking.pool import Pool
from decoct.shrinking.reading.groups import merge_groups

SPLITS = ("train", "val", "test")  # by number
KINDS = (  # in the order in which they are told
    "unreadable",
    "extension",
    "leak",
    "two_labels",
    "exact_duplicates",
    "near_duplicates",
    "label_issue",
    "outlier",
)
GROUPED = ("exact_duplicates", "near_duplicates", "leak", "two_labels")  # kinds whose rows show one picture


def check(pool: Pool, near: float = NEAR) -> tuple[Problem, ...]:
    """Everything that files and pixels show; needs no labels beyond the folders.

    Of each group of duplicates one image stays: the one with the most pixels, then the first path. Exact duplicates are
    equal files, or equal thumbnails of pictures of one size. Near-duplicates are each within ``near`` of the one that
    stays (``twins.nearly_equal``); of exact ones only the image that stays is among them. A leak is a picture that
    stands in more than one split, equal or nearly so; equal pictures of several classes are "two_labels".

    Args:
        pool: the images.
        near: largest difference of near-duplicates, in deviations of a picture; 0 looks for none.

    Returns:
        the problems, by kind, the worst of each kind first.

    Raises:
        UsageError: ``near`` is not from 0 to 1.
    """
    if not 0 <= near <= 1:
        raise UsageError(f"near must be from 0, which looks for none, to 1, not {near}: try {NEAR}")
    order, looks = preferred(pool), Looks(pool.images)
    copies = equal(pool, looks, order)
    alike = nearly_equal(looks, np.array([rows[0] for rows in copies], np.int64), near)
    copied = {int(rows[0]): rows for rows in copies if len(rows) > 1}
    found = [Problem("unreadable", (), (path,), (kind,), why) for path, kind, why in pool.unreadable]
    found += _extensions(pool)
    found += [_problem(pool, "exact_duplicates", rows, _equality(pool, rows), len(rows)) for rows in copied.values()]
    for group in alike:
        said = f"differ by up to {group.apart.max():.2f} deviations{_across(pool, group.rows)}"
        found.append(_problem(pool, "near_duplicates", group.rows, said, 1 - float(group.apart.max())))
    twins = {int(group.rows[0]): (group.rows, float(group.apart.max())) for group in alike}
    in_others = {int(row) for rows, _ in twins.values() for row in rows[1:]}
    for first, rows in copied.items():
        if first not in in_others:
            twins.setdefault(first, (rows[:1], 0.0))
    for rows, apart in twins.values():
        everyone = np.concatenate([copied.get(int(row), row[None]) for row in rows])
        found += _leak(pool, everyone, apart)
    found += [
        _problem(
            pool, "two_labels", rows, ", ".join(sorted({pool.class_names[k] for k in pool.labels[rows]})), len(rows)
        )
        for rows in copied.values()
        if len(set(pool.labels[rows].tolist())) > 1
    ]
    return tuple(sorted(found, key=lambda each: (KINDS.index(each.kind), -each.score)))


def groups_of(problems: Iterable[Problem], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] groups from 0, in which images that show one picture are together, so that no split divides them.

    Args:
        problems: whose duplicates and leaks count.
        groups: [N] that were there before, from 0; they are merged, never divided.
    """
    chains = [list(pairwise(each.rows)) for each in problems if each.kind in GROUPED]
    return merge_groups(groups, np.array([pair for chain in chains for pair in chain], np.int64))


def tell(problems: Sequence[Problem]) -> tuple[str, ...]:
    """A line for each kind that was found, with an example."""
    lines = []
    for kind in KINDS:
        found = [each for each in problems if each.kind == kind]
        if found:
            lines.append(f"{_told(kind, found)}; first: {_example(found[0])}")
    return tuple(lines)


def _told(kind: str, found: Sequence[Problem]) -> str:
    n, images = len(found), sum(len(each.paths) for each in found)
    groups = f"in {n:,} group{'s' * (n > 1)}"
    several = [len(set(each.labels)) > 1 for each in found]
    across = f", {sum(several):,} of them across classes" if kind != "two_labels" and any(several) else ""
    match kind:
        case "unreadable":
            return f"{n:,} {_files(n)} cannot be read"
        case "extension":
            return f"{n:,} {_files(n)} whose name says another format than the content"
        case "exact_duplicates":
            return f"{images:,} exact duplicates {groups}{across} ({images - n:,} could go)"
        case "near_duplicates":
            return f"{images:,} near-duplicates {groups}{across} ({images - n:,} could go)"
        case "leak":
            return f"{images:,} images {groups} of duplicates stand in more than one split, a leak"
        case "two_labels":
            return f"{images:,} images {groups} of equal pictures have different labels"
        case "label_issue":
            return f"{n:,} label issue{'s' * (n > 1)}"
    return f"{n:,} outlier{'s' * (n > 1)}"


def _files(n: int) -> str:
    return "file" if n == 1 else "files"


def _example(problem: Problem) -> str:
    shown = list(problem.paths[:2])
    if problem.kind == "two_labels":
        second = next(i for i, label in enumerate(problem.labels) if label != problem.labels[0])
        shown = [problem.paths[0], problem.paths[second]]
    return f"{' and '.join(shown)} ({problem.detail})"


def _extensions(pool: Pool) -> list[Problem]:
    """Of the facts: row or path of a file, and the format that its content has."""
    listed = pool.facts.get("extensions", ())
    at = {path: row for row, path in enumerate(pool.paths)} if listed else {}
    return [
        _problem(pool, "extension", np.array([at.get(where, where)]), f"holds {kind}", 0) for where, kind, *_ in listed
    ]


def _problem(pool: Pool, kind: str, rows: NDArray[np.int64], detail: str, score: float) -> Problem:
    where = tuple(int(row) for row in rows)
    labels = tuple(pool.class_names[pool.labels[row]] for row in where)
    return Problem(kind, where, tuple(pool.paths[row] for row in where), labels, detail, float(score))


def _equality(pool: Pool, rows: NDArray[np.int64]) -> str:
    return "equal files" if len(set(pool.content[rows].tolist())) == 1 else "equal pixels in different files"


def _across(pool: Pool, rows: NDArray[np.int64]) -> str:
    return ", across classes" if len(set(pool.labels[rows].tolist())) > 1 else ""


def _leak(pool: Pool, rows: NDArray[np.int64], apart: float) -> list[Problem]:
    """The first image, those of other splits, then the rest of its own; nothing where all are in one split."""
    split = pool.split[rows]
    names = [SPLITS[number] for number in np.unique(split)]
    if len(names) == 1:
        return []
    rows = np.concatenate([rows[:1], rows[1:][split[1:] != split[0]], rows[1:][split[1:] == split[0]]])
    return [_problem(pool, "leak", rows, f"in {' and '.join(names)}{', nearly equal' if apart else ''}", 1 - apart)]
