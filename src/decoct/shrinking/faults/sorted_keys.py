"""Pairs of vectors that may be near to each other, in time that grows as n log n and memory that grows as n."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

KEYS = 12  # of each row: with 16 bits they find all re-encoded copies that were tried, and 75 to 98 % of crops by 3 %
BITS = 32  # of a key
WINDOW = 24  # rows after each in the order of a key that are looked at
SPARE = 4  # leading bits beyond log2 n that two must share: by chance one pair of 32 rows does, per key
DIRECTIONS = 16  # principal directions that keys are made from

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def all_pairs(n: int, block: int = 512) -> Iterator[Pairs]:
    """Every i < j of ``n`` rows, block by block."""
    for start in range(0, n, block):
        i, j = np.triu_indices(min(block, n - start), 1, n - start)
        yield i + start, j + start


def likely_pairs(vectors: NDArray[np.float32], seed: int = 0) -> Iterator[Pairs]:
    """Pairs i < j that are neighbours by one of ``KEYS`` keys, each key's pairs by themselves; a pair may come again.

    A key is the signs of random projections of the leading principal directions (Charikar, 2002, as a forest of sorted
    keys: Bawa, Condie and Ganesan, 2005). Rows are sorted by it; two are a pair if they stand within ``WINDOW`` of each
    other and share the leading log2 n + ``SPARE`` bits. So equal keys in masses cost no more than others.

    Args:
        vectors: [n, d].
        seed: of the projections.
    """
    directions = _projected(vectors)
    rng, shared = np.random.default_rng(seed), min(BITS, int(np.ceil(np.log2(max(2, len(vectors))))) + SPARE)
    for _ in range(KEYS):
        projected = directions @ rng.standard_normal((directions.shape[1], BITS)).astype(np.float32)
        # A mass of copies lies at the median of every direction, so that the median would divide it by its noise.
        key = _key(projected, rng.uniform(-0.5, 0.5, BITS))
        # Equal keys are shuffled, so that the window is another one with each key.
        order = np.lexsort((rng.permutation(len(key)), key))
        leading = key[order] >> np.uint32(BITS - shared)
        for step in range(1, min(WINDOW + 1, len(key))):
            at = np.flatnonzero(leading[step:] == leading[:-step])
            if not len(at):
                break  # rows farther away share even less
            one, other = order[at], order[at + step]
            yield np.minimum(one, other), np.maximum(one, other)


def _projected(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, DIRECTIONS] principal components, each divided by the root of its deviation, so that all have a say."""
    mean = vectors.mean(0, dtype=np.float64)
    sample = vectors[:: max(1, len(vectors) // 20_000)] - mean
    values, axes = np.linalg.eigh(sample.T @ sample / len(sample))
    values, axes = values[::-1][:DIRECTIONS], axes[:, ::-1][:, :DIRECTIONS]
    there = values > max(values[0], 0) * 1e-9
    scale = (axes[:, there] / values[there] ** 0.25).astype(np.float32)
    projected: NDArray[np.float32] = vectors @ scale - (mean @ scale).astype(np.float32)
    return projected


def _key(projected: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.uint32]:
    """[n] BITS bits: is a projection more than ``at`` deviations above its mean?"""
    above = projected > projected.mean(0) + at * projected.std(0)
    key: NDArray[np.uint32] = np.packbits(above, axis=1).view(">u4")[:, 0].astype(np.uint32)
    return key
