"""Picking within each class: rows are gathered in the order of the file, classes run side by side."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from decoct.core.interfaces import Progress, silent

LIMIT = 2**28  # bytes of features that are gathered at once

Pick = Callable[[int, NDArray[Any]], Any]  # (number of the group, its features [n, d]) -> what is found in it


def each(
    pick: Pick,
    features: NDArray[Any],
    groups: Sequence[NDArray[np.int64]],
    *,
    threads: int | None = None,
    limit: int = LIMIT,
    progress: Progress = silent,
) -> list[Any]:
    """What ``pick`` finds in each group of rows, such as a class.

    Rows that lie scattered over a memory map are read in the order of the file, as many groups at a time as fit into
    ``limit`` bytes, so that a map larger than memory is read a few times over and no page of it twice in a sweep. A
    group of consecutive rows is handed over as it lies, without a copy. Results do not depend on threads or ``limit``.

    Args:
        pick: gets the group's number and its rows, C-contiguous and not to be written to; from several threads.
        features: [N, d]; an array or a memory map.
        groups: ascending row numbers of each.
        threads: groups that run side by side; None for as many as torch computes with.
        limit: bytes that are gathered at once; a larger group comes alone.
        progress: called with (groups done, groups in all).

    Returns:
        One result a group.

    Example:
        >>> rows, classes = np.arange(6.0)[:, None], [np.array([0, 1, 2]), np.array([3, 4, 5])]
        >>> decoct.select.each(lambda c, own: decoct.select.herding(own, 1).tolist(), rows, classes)
        [[1], [1]]
    """
    workers = min(threads or torch.get_num_threads(), len(groups)) or 1
    results: list[Any] = []

    def picked(side_by_side: Callable[..., Iterator[Any]]) -> list[Any]:
        for at, batch in _gathered(features, groups, limit):
            for result in side_by_side(pick, range(at, at + len(batch)), batch):
                results.append(result)
                progress(len(results), len(groups))
        return results

    if workers == 1:
        return picked(map)
    pooled = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    with threadpool_limits(1), pooled as pool:  # each computes with one thread
        return picked(pool.map)


def _gathered(
    features: NDArray[Any], groups: Sequence[NDArray[np.int64]], limit: int
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Runs of groups with their features: the number of the first group, and one array a group."""
    at = 0
    while at < len(groups):
        last, size = at, 0
        while last < len(groups) and (last == at or size + _bytes(features, groups[last]) <= limit):
            size += _bytes(features, groups[last])
            last += 1
        yield at, _gather(features, groups[at:last])
        at = last


def _gather(features: NDArray[Any], groups: Sequence[NDArray[np.int64]]) -> list[NDArray[Any]]:
    if all(_consecutive(rows) for rows in groups):
        spans = [slice(rows[0], rows[-1] + 1) if len(rows) else slice(0) for rows in groups]
        return [np.ascontiguousarray(features[span]) for span in spans]
    rows = np.concatenate(groups)
    room = np.empty((len(rows), *features.shape[1:]), features.dtype)
    order = np.argsort(rows)
    for part in np.array_split(order, max(1, room.nbytes // 2**24)):  # a fancy index on a map makes a copy
        room[part] = features[rows[part]]
    return np.split(room, np.cumsum([len(group) for group in groups])[:-1])


def _consecutive(rows: NDArray[np.int64]) -> bool:
    return len(rows) == 0 or bool(rows[-1] - rows[0] == len(rows) - 1)


def _bytes(features: NDArray[Any], rows: NDArray[np.int64]) -> int:
    return len(rows) * features[:1].nbytes
