"""Labels that a model contradicts which did not see the image."""

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.methods.coresets.confident import issues, margins
from decoct.shrinking.answer import Problem
from decoct.shrinking.pool import Pool


def label_issues(pool: Pool, rows: NDArray[np.int64], probabilities: NDArray[np.float32]) -> tuple[Problem, ...]:
    """Images that confident learning takes for mislabelled (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068).

    They are those that the method ``confident`` removes first (``by = "noise_rate"``); of an image whose label is the
    likeliest class nothing is said. Images of a class that has one image, or one group, are not judged, and no image is
    said to be of such a class: the model that judges it saw no other of its class.

    Args:
        pool: the images.
        rows: [n] images that were judged.
        probabilities: [n, classes] of models that did not see them.

    Returns:
        the given label and, as the detail, the suggested one; the score is minus the margin p_y − max_{j≠y} p_j, the
        largest first.

    Raises:
        DecoctError: probabilities of another shape, or that are not finite.
    """
    classes = len(pool.class_names)
    if probabilities.shape != (len(rows), classes):
        shape = list(probabilities.shape)
        raise DecoctError(f"label issues need probabilities [{len(rows)}, {classes}] of the images, not {shape}")
    wrong = int((~np.isfinite(probabilities).all(1)).sum())
    if wrong:
        raise DecoctError(
            f"the model gives no finite probabilities for {wrong:,} of {len(rows):,} images\n"
            "its training went astray: lower its learning rate"
        )
    labels = pool.labels[rows]
    pairs = np.unique(np.stack([labels, pool.groups[rows]]), axis=1)
    known = np.bincount(pairs[0], minlength=classes) > 1
    judged = known[labels]
    rows, labels = rows[judged], labels[judged]
    said = np.where(known, probabilities[judged], np.float32(0))
    if known.sum() < 2:
        return ()
    margin = margins(said, labels)
    found = np.flatnonzero(issues(said, labels, "noise_rate") & (margin < 0))
    found = found[np.lexsort((rows[found], margin[found]))]
    others = said[found].copy()
    others[np.arange(len(found)), labels[found]] = -np.inf
    return tuple(
        Problem(
            "label_issue",
            (int(rows[at]),),
            (pool.paths[rows[at]],),
            (pool.class_names[labels[at]],),
            f"suggested: {pool.class_names[other]}",
            -float(margin[at]),
        )
        for at, other in zip(found.tolist(), others.argmax(1).tolist(), strict=True)
    )
