"""The test, opened once: which sizes are shown to train the model as well, to within a margin.

Sizes are tested from the largest down, each at one-sided 5 %, and the first that is not shown ends it. Since a size is
reached only after all larger ones were shown, the chance to name any size that is truly outside the margin is at most
5 %, however many sizes there are, and no level is divided (Maurer, Hothorn and Lehmacher, 1995; Westfall and Krishen,
2001). The race decided each size's method on other images, so no image counts both for a choice and for its test.

At one size the null hypothesis is that all images are better than the set by the margin or more. The loss is the mean
over students and images of "right with all images" minus "right with the set", paired by image and by student. Its
error counts both as samples, see ``expected``.

With k folds, every image is tested once, by the students of its fold. The interval holds for the mean over the folds'
sets, as other students and other test images would have it. It conditions on which images there are to choose from. A
stochastic method draws a set for each student of a fold, so that the mean is over its sets, and the final one is one
more of them. The folds' train images overlap, so no unbiased estimate of what *other* candidates would give exists
(Bengio and Grandvalet, 2004), and the correction of Nadeau and Bengio (2003) is for that larger question. For this one
none is needed: with a real learner, the folds' sets lost more than their bound in 1.5 to 2.8 % of simulated studies,
see docs/results/shrink.md.

That no class loses more than so much is shown where it is shown of each class, each at 5 %, without correction: the
intersection-union test (Berger, 1982).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.shrinking.answer import Measured
from decoct.shrinking.inference.expected import Expected, Groups, Values, expected


@dataclass(frozen=True)
class Margin:
    """How much may be lost.

    Attributes:
        value: a fraction of test images, such as 0.01 for a point; or of the full accuracy.
        relative: whether it is of the full accuracy, as in ``2%``.
    """

    value: float
    relative: bool = False

    @classmethod
    def of(cls, asked: str | float) -> "Margin":
        """Read a margin: ``1`` is a point, ``2%`` is 2 % of the full accuracy.

        Raises:
            UsageError: it is no number above 0 and below 100.
        """
        text = str(asked).strip()
        try:
            value = float(text.removesuffix("%")) / 100
        except ValueError:
            value = math.nan
        if not 0 < value < 1:
            raise UsageError(
                f"a margin is in points, such as 1, or a share of the full accuracy, such as 2%; not {text!r}"
            )
        return cls(value, text.endswith("%"))

    def points(self, full: float) -> float:
        """The margin as a fraction of test images."""
        return self.value * full if self.relative else self.value


@dataclass(frozen=True, eq=False)
class Outcome:
    """Who answered what of one stratum: a test split, or a fold.

    Attributes:
        full, small: [R, n] right or not, of students of all images and of the set; row r of both has one seed.
        labels: [n] class of each image; None where classes are not asked for.
        groups: [n] which images belong together, such as a patient's: then groups are the sample; None where images are
            independent.
        fixed: other students would answer the same, so R = 1 says all: a deterministic learner. With folds a stochastic
            method gives each row of ``small`` a set of its own, and then R ≥ 2.
    """

    full: Values
    small: Values
    labels: NDArray[np.int64] | None = None
    fixed: bool = False
    groups: Groups | None = None

    def __post_init__(self) -> None:
        if self.full.shape != self.small.shape or self.full.ndim != 2:
            raise ValueError("full and small hold the same students and images")
        if any(x is not None and len(x) != self.full.shape[1] for x in (self.labels, self.groups)):
            raise ValueError("labels and groups have one entry for each image")

    def among(self, images: NDArray[np.bool_]) -> "Outcome":
        """The same for some of the images."""
        labels, groups = (x if x is None else x[images] for x in (self.labels, self.groups))
        return Outcome(self.full[:, images], self.small[:, images], labels, self.fixed, groups)


@dataclass(frozen=True)
class ClassLoss:
    """What one class loses.

    Attributes:
        name: of the class.
        full, small: accuracy, a fraction; NaN without a test image.
        loss: full minus small.
        bound: one-sided 95 % bound on the loss; infinite for fewer than two test images.
        images: that were tested.
        images_needed: test images of this class that its margin would take; None where it is shown, nothing was asked,
            or more images alone do not suffice.
    """

    name: str
    full: float
    small: float
    loss: float
    bound: float
    images: int
    images_needed: int | None = None


@dataclass(frozen=True)
class Tested:
    """What the test says about one size.

    Attributes:
        size: images of the set; with folds, of the final set.
        full, small: accuracies with two-sided 95 % intervals.
        loss: full minus small; ``hi`` is the one-sided 95 % bound, ``lo`` the one on the other side.
        inside: shown within the margin; None where no margin was asked.
        shown: ``inside``, and every class within its own where that was asked; None where nothing was asked.
        within: the margin in points at the full accuracy seen; None where nothing was asked.
        smallest_margin: the smallest, in points, that these students and images show if no loss at all is seen.
        images_needed: test images at which as many students show in 80 % of studies a set that loses nothing; None
            without a margin, or where only more students help.
        classes: by class, in label order; empty without labels.
        failed: classes that are not shown to lose less than what was asked.
    """

    size: int
    full: Measured
    small: Measured
    loss: Measured
    inside: bool | None
    shown: bool | None
    within: float | None
    smallest_margin: float
    images_needed: int | None
    classes: tuple[ClassLoss, ...] = ()
    failed: tuple[ClassLoss, ...] = ()

    @property
    def worst(self) -> ClassLoss | None:
        """The class that loses most, of those with a test image.

        It was picked because its loss is the highest, so its loss errs upwards, and its own bound holds. It says
        nothing about the other classes.
        """
        known = [c for c in self.classes if c.images]
        return max(known, key=lambda c: c.loss) if known else None


@dataclass(frozen=True)
class Decision:
    """The smallest size that is shown, or why there is none.

    Attributes:
        decided: "shown", "not_shown", or "not_decidable": a set without any loss would not be shown either, and the
            largest is not shown to lose more than the margin.
        tested: of the size that is named; where there is none, of the largest.
        smallest_margin: of the largest size, in points: the closest that could be shown.
        images_needed: test images that the margin would take, where it is not decidable.
        because: "classes" where the margin holds and single classes fail, else "margin"; empty where it is shown.
    """

    decided: str
    tested: Tested
    smallest_margin: float
    images_needed: int | None
    because: str = ""


def tested(
    size: int,
    strata: Sequence[Outcome],
    within: Margin | None = None,
    worst: float | None = None,
    class_names: Sequence[str] = (),
) -> Tested:
    """Test one size.

    Args:
        size: images of the set.
        strata: one outcome, or one per fold.
        within: the margin; None for intervals alone.
        worst: what no class may lose more than, a fraction; None where this is not asked.
        class_names: by label; classes need them, and ``Outcome.labels``.

    Raises:
        ValueError: no test image, one student where students vary, or ``worst`` without classes.
    """
    labelled = bool(class_names) and all(o.labels is not None for o in strata)
    if worst is not None and not labelled:
        raise ValueError("what a class loses needs the class of each image, and the names of classes")
    full, small = side("full", strata), side("small", strata)
    lost = loss(strata)
    asked = lost
    if within is not None and within.relative:
        asked = loss(strata, 1 - within.value)
    bound = asked.mean + asked.half()
    points = within.points(full.mean) if within is not None else None
    classes = tuple(_class(name, at, strata, worst) for at, name in enumerate(class_names) if labelled)
    failed = tuple(c for c in classes if worst is not None and not c.bound < worst)
    inside = None if within is None else bound < (0.0 if within.relative else within.value)
    shown = None if within is None and worst is None else inside is not False and not failed
    return Tested(
        size,
        full.measured(),
        small.measured(),
        Measured(lost.mean, lost.mean - lost.half(), lost.mean + lost.half(), lost.n, lost.tested),
        inside,
        shown,
        points,
        asked.half(),
        asked.images_needed(points) if points is not None else None,
        classes,
        failed,
    )


def decide(tests: Sequence[Tested]) -> Decision:
    """The answer of a test that was opened from the largest size down.

    Args:
        tests: in that order, up to the first that is not shown.

    Raises:
        ValueError: there are none, nothing was asked, or their order is another.
    """
    sizes = [t.size for t in tests]
    if not tests or any(t.shown is None for t in tests) or sizes != sorted(set(sizes), reverse=True):
        raise ValueError("sizes are tested from the largest down, with a margin")
    named = None
    for one in tests:
        if not one.shown:
            break
        named = one
    first = tests[0]
    if named is not None:
        return Decision("shown", named, first.smallest_margin, None)
    if first.within is not None and not first.inside:
        short = first.within <= first.smallest_margin and not first.loss.lo > first.within
        return Decision(
            "not_decidable" if short else "not_shown",
            first,
            first.smallest_margin,
            first.images_needed if short else None,
            "margin",
        )
    short = any(c.images_needed is not None or math.isinf(c.bound) for c in first.failed)
    return Decision("not_decidable" if short else "not_shown", first, first.smallest_margin, None, "classes")


def side(name: str, strata: Sequence[Outcome]) -> Expected:
    """The accuracy of the "full" side, or of the "small" one."""
    return _expected(strata, [getattr(o, name) for o in strata])


def loss(strata: Sequence[Outcome], weight: float = 1.0) -> Expected:
    """``weight`` · full − small; below 0 where the set keeps that share of the full accuracy."""
    values = [np.float32(weight) * o.full.astype(np.float32) - o.small for o in strata]
    return _expected(strata, values, True)


def _expected(strata: Sequence[Outcome], values: Sequence[Values], signed: bool = False) -> Expected:
    return expected(values, signed, [o.fixed for o in strata], [o.groups for o in strata])


def _class(name: str, label: int, strata: Sequence[Outcome], worst: float | None) -> ClassLoss:
    masks = [o.labels == label for o in strata if o.labels is not None]
    own = [o.among(mask) for o, mask in zip(strata, masks, strict=True) if mask.any()]
    images = sum(int(m.sum()) for m in masks)
    if not images:
        return ClassLoss(name, math.nan, math.nan, math.nan, math.inf, 0)
    lost = loss(own)
    full, small = (_mean([getattr(o, of) for o in own]) for of in ("full", "small"))
    bound = lost.mean + lost.half() if images > 1 else math.inf
    short = worst is not None and not bound < worst and (images < 2 or lost.half() >= worst)
    needed = lost.images_needed(worst) if short and worst is not None and images > 1 else None
    return ClassLoss(name, full, small, lost.mean, bound, images, needed)


def _mean(strata: Sequence[Values]) -> float:
    return float(np.concatenate([x.mean(0, dtype=np.float64) for x in strata]).mean())
