"""Confident learning: all images but those whose label a net that did not see them contradicts the most."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.bounds import TIMES
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import Coreset
from decoct.needs.out_of_sample import OutOfSample

TIE = 1e-6  # of probabilities, so that no rounding of a mean decides


class Confident(Coreset):
    """Confident learning (Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068): likely mislabelled images go first.

    Probabilities p of each image come from a net that was trained on the other folds. An image is counted as of class j
    if p_j is at least the mean of p_j over the images that are labelled j (of several such classes, the likeliest). The
    counts by label and class, scaled to the number of images of each label, estimate how many images of label i are of
    class j. ``by`` says which images are taken for those.

    The paper removes as many images as it estimates to be mislabelled; here the budget says how many go. Those that the
    paper removes go first, the others after them, each by the normalised margin p_y − max_{j≠y} p_j, the least first;
    ``issues`` is noted with the set, how many the paper would remove. cleanlab, the authors' code, takes the likeliest
    class of all where several are counted, keeps at least one image of each class, and rounds to preserve sums.

    Images are pooled, since wrong labels are not spread evenly over classes; ``pooled = false`` removes the share of
    each class. A smaller set is the beginning of a larger one, whose first image is the least likely mislabelled.

    Attributes:
        by: "noise_rate", of label i the images with the largest p_j − p_i, as many as are estimated to be of class j;
            "class", those with the smallest p_i, as many as are estimated to be of other classes; "both", images that
            the two agree on.
        net: that is trained; ``"teacher"`` is the default label teacher.
        epochs: of its training; None for as many as the teacher gets.
        folds: of the train split; a net is trained for each.
    """

    quick = {"folds": 2, "epochs": 1}

    pooled: bool = True
    by: Literal["noise_rate", "class", "both"] = "noise_rate"
    net: str = "teacher"
    epochs: int | None = Field(None, ge=1)
    folds: int = Field(5, ge=2, le=TIMES)

    def together(self, ipc: int) -> int | None:
        """Classes are confused with each other."""
        return None

    def needs(self) -> tuple[Need, ...]:
        """What nets say of images that they did not see."""
        return (self._predictions(),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Rank all images, or each class by itself."""
        probabilities: NDArray[np.float32] = inputs.others[self._predictions()]
        labels = inputs.data.train.labels
        found = issues(probabilities, labels, self.by)
        margin = margins(probabilities, labels)

        def pick(rows: NDArray[np.int64], quota: int) -> NDArray[np.int64]:
            order = np.lexsort((rows, -margin[rows], found[rows]))
            return rows[order][:quota]

        draft = self.from_groups(inputs, lambda group: pick(group.rows, group.quota))
        return replace(draft, notes={"issues": float(found.sum())})

    def _predictions(self) -> OutOfSample:
        return OutOfSample(net=self.net, epochs=self.epochs, folds=self.folds)


def joint(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """[C, C] how many images of label i are of class j, as estimated; a row adds up to the images of its label.

    Args:
        probabilities: [N, C], of nets that did not see the image.
        labels: [N], some of which are wrong.
    """
    classes = probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], classes)
    threshold = np.divide(own, images, out=np.full(classes, np.inf), where=images > 0)
    sure = np.where(probabilities >= threshold - TIE, probabilities, -1)
    counted = sure.max(1) >= 0
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels[counted], sure[counted].argmax(1)), 1)
    sums = counts.sum(1)
    counts[np.diag_indices(classes)] += sums == 0  # nothing is known of a label that nobody is sure of
    scaled: NDArray[np.float64] = counts * (images / counts.sum(1))[:, None]
    return scaled


def issues(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], by: Literal["noise_rate", "class", "both"]
) -> NDArray[np.bool_]:
    """[N] which images the paper removes; numbers are rounded to whole images, ties go to the lowest index."""
    if by == "both":
        return issues(probabilities, labels, "noise_rate") & issues(probabilities, labels, "class")
    numbers, found = joint(probabilities, labels), np.zeros(len(labels), bool)
    for label in range(len(numbers)):
        rows = np.flatnonzero(labels == label)
        own = probabilities[rows]
        if by == "class":
            wrong = round(len(rows) - numbers[label, label])
            found[rows[np.argsort(own[:, label], kind="stable")[:wrong]]] = True
            continue
        for other in np.flatnonzero(np.arange(len(numbers)) != label):
            wrong = round(numbers[label, other])
            if wrong:
                found[rows[np.argsort(own[:, label] - own[:, other], kind="stable")[:wrong]]] = True
    return found


def margins(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """[N] p_y − max_{j≠y} p_j."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    apart: NDArray[np.float32] = probabilities[rows, labels] - others.max(1)
    return apart
