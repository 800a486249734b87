"""Images that resemble none of their class."""

import numpy as np
from numpy.typing import NDArray

from decoct.shrinking.answer import Problem
from decoct.shrinking.faults import alike
from decoct.shrinking.pool import Pool

NEIGHBOUR = 5  # so that a few copies of a foreign picture do not hide it
LEAST = 20  # images of a class that are judged: of fewer the usual distance is not known
SAMPLE = 5000  # of a larger class, to which distances are taken, so that time grows as the number of images
FAR = 3.0  # deviations: finds 17 of 20 foreign pictures among 5,000 garments and flags 8 of these; 2.5 flags 31
SHARE, DEVIATIONS = 0.9, 1.2816  # of a normal distribution lies below so many deviations
BATCH = 1024


def outliers(
    pool: Pool, rows: NDArray[np.int64], features: NDArray[np.floating] | None = None, seed: int = 0
) -> tuple[Problem, ...]:
    """Images whose distance to the k-th nearest of their class is far from what is usual there.

    The distance to the k-th nearest neighbour as a score is that of Ramaswamy, Rastogi and Shim (2000), from a sample
    of a large class (Sugiyama and Borgwardt, 2013). An outlier is an image whose log distance lies more than ``FAR``
    deviations above the median of its class; the deviation is (90 % quantile − median) / 1.28. So families of like
    pictures do not narrow it, and a tenth of a class that lies apart is a part of it, no outliers. Classes of fewer
    than ``LEAST`` images are not judged.

    Args:
        pool: the images.
        rows: [n] images that are judged.
        features: [n, d] of a net, compared by angle; None for the blocks of thumbnails (``alike.standard``).
        seed: of the samples.

    Returns:
        the outliers, the farthest first; the score is in deviations.
    """
    if features is None:
        parts = [pool.images[rows[start : start + BATCH]] for start in range(0, len(rows), BATCH)]
        features = np.concatenate([alike.standard(alike.blocks(part)) for part in parts]) if parts else np.empty((0, 1))
    labels, found = pool.labels[rows], []
    for label in range(len(pool.class_names)):
        own = np.flatnonzero(labels == label)
        if len(own) >= LEAST:
            away = unusual(kth_nearest(features[own], NEIGHBOUR, np.random.default_rng([seed, label])))
            found += [(float(away[at]), int(rows[own[at]])) for at in np.flatnonzero(away > FAR)]
    return tuple(
        Problem(
            "outlier",
            (row,),
            (pool.paths[row],),
            (pool.class_names[pool.labels[row]],),
            f"{away:.1f} deviations from its class",
            away,
        )
        for away, row in sorted(found, key=lambda each: (-each[0], each[1]))
    )


def unusual(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] deviations of the log distances above their median; 0 where 90 % are no farther than the median."""
    positive = distance[distance > 0]
    log = np.log(np.maximum(distance, positive.min(initial=1.0)))
    middle, upper = np.quantile(log, [0.5, SHARE])
    scale = (upper - middle) / DEVIATIONS
    return (log - middle) / scale if scale > 0 else np.zeros(len(log))


def kth_nearest(features: NDArray[np.floating], k: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[n] distance of each row, made of unit length, to the k-th nearest of at most ``SAMPLE`` others."""
    x = np.asarray(features, np.float32)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    sample = np.sort(rng.choice(len(x), min(len(x), SAMPLE), replace=False))
    distance = np.empty(len(x))
    for start in range(0, len(x), BATCH):
        part = x[start : start + BATCH]
        squared = np.maximum(2 - 2 * part @ x[sample].T, 0)
        squared[sample[None] == np.arange(start, start + len(part))[:, None]] = np.inf
        distance[start : start + len(part)] = np.sqrt(np.partition(squared, k - 1, axis=1)[:, k - 1])
    return distance
