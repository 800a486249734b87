"""Seeded stratified splits in which identical images stay together."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError


def pixel_groups(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """A number from 0 for each image, [N] int64, equal where the pixels are equal; numbered by first appearance."""
    seen: dict[bytes, int] = {}
    pixels = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
    return np.array([seen.setdefault(key, len(seen)) for key in pixels], dtype=np.int64)


def stratified(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, seed: int, class_names: Sequence[str]
) -> NDArray[np.bool_]:
    """Choose what to hold out: of each class the rounded fraction, at least one image, and never all of them.

    Groups are visited in seeded order and held out whole while no class exceeds its share. So a class is exact where
    its images are distinct, and short by less than its largest group if no group spans classes. A class that got
    nothing gives its smallest group.

    Args:
        labels: [N] class of each image.
        groups: [N] from 0; images of one group stay on one side, also across classes.
        fraction: of each class, between 0 and 1.
        seed: of the order.
        class_names: names of all classes, for the message.

    Returns:
        [N] bool, true for what is held out.

    Raises:
        DecoctError: a class has too few distinct images to be on both sides.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    share = np.minimum(np.maximum(np.rint(fraction * counts), 1), counts - 1).astype(np.int64).tolist()
    members: list[list[int]] = [[] for _ in range(int(groups.max(initial=-1)) + 1)]
    for i, group in enumerate(groups.tolist()):
        members[group].append(i)
    sizes = [Counter(labels[m].tolist()) for m in members]
    order = np.random.default_rng(seed).permutation(len(members)).tolist()
    held, taken = np.zeros(len(labels), dtype=bool), [0] * len(class_names)

    def fits(group: int, limit: Sequence[int]) -> bool:
        return all(taken[c] + size <= limit[c] for c, size in sizes[group].items())

    def take(group: int) -> None:
        held[members[group]] = True
        for c, size in sizes[group].items():
            taken[c] += size

    for group in order:
        if fits(group, share):
            take(group)
    for c, name in enumerate(class_names):
        if taken[c] == 0:
            able = [g for g in order if c in sizes[g] and fits(g, (counts - 1).tolist())]
            if not able:
                distinct = sum(c in size for size in sizes)
                raise DecoctError(
                    f"class '{name}' has {distinct} distinct images left to split, too few to hold some out: add images"
                )
            take(min(able, key=lambda g: len(members[g])))
    return held
