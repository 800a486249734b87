"""Groups of images that stay on one side of every split: by name, by equal files, and merged by pairs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from decoct.core.errors import UsageError

COLUMN = "group"  # of a table, which is used unasked


def merge_groups(groups: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups [N] in which both rows of each pair [P, 2] are together, and what was together stays so.

    Returns:
        [N] int64 from 0, numbered by first appearance.
    """
    groups, pairs = np.asarray(groups), np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    dense = np.unique(groups, return_inverse=True)[1]
    count, ends = int(dense.max(initial=-1)) + 1, dense[pairs]
    edges = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return numbered(connected_components(edges, directed=False)[1][dense]) if count else dense


def numbered(groups: NDArray[Any]) -> NDArray[np.int64]:
    """The same groups [N], numbered from 0 by first appearance."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    made: NDArray[np.int64] = rank[inverse]
    return made


def together(content: NDArray[np.uint64], given: Sequence[Any] | None) -> NDArray[np.int64]:
    """Groups [N] of images whose files are equal, or which the user puts into one group; None there is a group alone.

    Args:
        content: [N], equal where files are.
        given: names of groups, by image.
    """
    groups = numbered(content)
    if given is None:
        return groups
    first: dict[Any, int] = {}
    pairs = [(row, first.setdefault(name, row)) for row, name in enumerate(given) if name is not None]
    return merge_groups(groups, np.array(pairs, dtype=np.int64))


def named(asked: str | None, paths: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> list[str | None] | None:
    """The group of each image by name: a column of its source, else a regular expression on its path.

    The first group of the expression that matches names the image's group, or the whole match where it has none; an
    image without a match is in a group of its own.

    Args:
        asked: the column or expression; None for the column "group", where there is one.
        paths: of each image.
        columns: of the source.

    Raises:
        UsageError: there is no such column, or the expression is none, or no path matches it.
    """
    if asked is None and COLUMN not in columns:
        return None
    column = {name.lower(): name for name in columns}.get((asked or COLUMN).lower())
    if column is not None:
        return [None if value in ("", None) else str(value) for value in columns[column][:]]
    assert asked is not None
    if columns and re.fullmatch(r"\w+", asked):
        raise UsageError(f"--groups {asked}: there is no such column, only {', '.join(columns)}")
    try:
        pattern = re.compile(asked)
    except re.error as error:
        raise UsageError(f"--groups '{asked}' is no regular expression: {error}") from None
    found = [pattern.search(path) for path in paths]
    if not any(found):
        raise UsageError(f"--groups '{asked}' matches no path, such as {paths[0]}")
    return [match and (match[1] if pattern.groups and match[1] is not None else match[0]) for match in found]
