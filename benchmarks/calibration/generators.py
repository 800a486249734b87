"""Simulated studies with a known truth, to calibrate the statistics of the report, of which nothing is imported here.

Varied, each time a study is drawn: sets of every stochastic method, students of every set, test images; under
``unequal`` also the spreads of methods. Held: the planted accuracies, and the one set of a fixed coreset. So an
interval must cover
    of a stochastic method: its mean over the populations of sets, students and test images;
    of a fixed coreset: its mean over students and images given its set, whose effect is part of the planted accuracy.
Both are ``Study.truth``. The expected difference of two methods is that of their truths, exactly, but for students
beyond 0 or 1, which are clipped and counted.

A student's own accuracy, over all images, is
    truth + set + student + shared − drop (failed − share that fails).
``shared`` is of all methods in one replicate and setting, and cancels in pairs. Which images a student has right is in
``latent.py``. Settings share the difficulty of images, and nothing else unless ``Spread.same_sets``.
Accuracies are shares, spreads are points.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.latent import Latent, answers, variances

Shape = Literal["normal", "gamma4", "exponential"]
Truth = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Design:
    """What a study compares; neighbouring settings, as many as ``protocols``, are of one budget."""

    distilled: tuple[str, ...] = tuple(f"d{k}" for k in range(7))
    coresets: tuple[str, ...] = ("random", "herding", "k_center")
    fixed: tuple[str, ...] = ("herding", "k_center")
    settings: tuple[str, ...] = tuple(f"{protocol} {ipc}" for ipc in (1, 10, 50) for protocol in ("hard", "soft"))
    protocols: int = 2
    sets: int = 5
    students: int = 1
    images: int = 2000

    def __post_init__(self) -> None:
        if not set(self.fixed) <= set(self.coresets):
            raise ValueError("only coresets have a fixed set")
        if len(self.settings) % self.protocols:
            raise ValueError("every budget has all protocols")

    @property
    def methods(self) -> tuple[str, ...]:
        return self.distilled + self.coresets

    @property
    def is_fixed(self) -> NDArray[np.bool_]:
        """Of each method."""
        return np.array([method in self.fixed for method in self.methods])


@dataclass(frozen=True)
class Spread:
    """How sets, students and images differ; sets, students, shared and drop in points.

    ``wide`` multiplies the sets' and students' sd of a (method, setting). ``unequal`` = k does so by a factor a method,
    log-uniform from 1/k to k, new in each study. A skewed ``shape`` has its long ``tail`` up (1) or down (−1); it is
    alike on both sides of every difference, for which no coreset may be fixed, or ``one_sided``: students of fixed
    coresets stay normal. ``failing`` is the share of students that fail, ``drop`` what each loses. ``same_sets``: the
    protocols of a budget train on the same sets, whose effect, in units of the setting's sd, they share.
    """

    sets: float = 0.7
    students: float = 0.5
    shared: float = 0.3
    latent: Latent = field(default_factory=Latent)
    shape: Shape = "normal"
    tail: Literal[1, -1] = 1
    one_sided: bool = False
    failing: float = 0.0
    drop: float = 0.0
    unequal: float = 1.0
    wide: Mapping[tuple[str, str], float] = field(default_factory=dict)
    same_sets: bool = False

    def mean_square_factor(self) -> float:
        """Expected square of the factor of ``unequal``."""
        k = self.unequal
        return 1.0 if k == 1 else (k**2 - k**-2) / (4 * log(k))


@dataclass(frozen=True)
class Study:
    """One simulated study; axes are methods, settings, sets, students and images, in the order of the design."""

    design: Design
    truth: NDArray[np.float64]  # [methods, settings]: what an interval must cover
    accuracy: NDArray[np.float64]  # [methods, settings, sets, students]: the share of the test images that is right
    expected: NDArray[np.float64]  # alike: each student's own accuracy, over all images
    correct: NDArray[np.bool_] | None  # [methods, settings, sets, students, images]; None in fast mode
    failed: NDArray[np.bool_]  # [methods, settings, sets, students]
    factor: NDArray[np.float64]  # [methods, settings]: of the sets' and students' sd
    clipped: int  # accuracies that would have been outside 0 to 1


def flat(design: Design, accuracy: float = 0.6, add: Truth | None = None) -> dict[tuple[str, str], float]:
    """One accuracy everywhere, and what is added to it in some (method, setting)."""
    add = add or {}
    return {(m, s): accuracy + add.get((m, s), 0.0) for m in design.methods for s in design.settings}


def study(rng: np.random.Generator, design: Design, spread: Spread, truth: Truth, *, fast: bool = False) -> Study:
    """Draw new sets, students and images.

    ``fast`` draws no images: the accuracy has normal noise of the same covariances, none where the design has 0 images.
    Raises ValueError where skew cannot be alike on both sides, or a failed student would be right less than never.
    """
    fixed = design.is_fixed
    if spread.shape != "normal" and not spread.one_sided and fixed.any():
        raise ValueError("skew alike on both sides needs sets on both sides: a design without fixed coresets")
    planted = np.array([[truth[m, s] for s in design.settings] for m in design.methods])
    if spread.failing and planted.min() < spread.drop / 100:
        raise ValueError("a failed student would be right less than never")
    shape = (*planted.shape, design.sets, design.students)

    factor = np.array([[spread.wide.get((m, s), 1.0) for s in design.settings] for m in design.methods])
    factor *= spread.unequal ** rng.uniform(-1, 1, (len(fixed), 1))
    protocols = design.protocols if spread.same_sets else 1
    of_set = _unit(rng, spread, (shape[0], shape[1] // protocols, shape[2])).repeat(protocols, axis=1)
    of_set[fixed] = 0  # part of the planted accuracy
    of_student = _unit(rng, spread, shape)
    if spread.one_sided:
        of_student[fixed] = rng.standard_normal(of_student[fixed].shape)
    failed = rng.random(shape) < spread.failing

    points = factor[..., None, None] * (spread.sets * of_set[..., None] + spread.students * of_student)
    points += spread.shared * rng.standard_normal(shape[1:]) - spread.drop * (failed - spread.failing)
    wanted = planted[..., None, None] + points / 100
    expected = np.clip(wanted, 0, 1)
    clipped = int((wanted != expected).sum())
    if fast:
        noisy = expected + (_noise(rng, design, spread, planted, protocols) if design.images else 0)
        accuracy = np.clip(noisy, 0, 1)
        clipped += int((noisy != accuracy).sum())
        return Study(design, planted, accuracy, expected, None, failed, factor, clipped)
    correct = answers(rng, spread.latent, expected, fixed, design.images, protocols)
    accuracy = np.count_nonzero(correct, axis=-1) / design.images
    return Study(design, planted, accuracy, expected, correct, failed, factor, clipped)


def generator(seed: int, index: int) -> np.random.Generator:
    """The generator of one study of a sweep: child ``index`` that ``SeedSequence(seed)`` spawns."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def sweep(
    studies: int, seed: int, design: Design, spread: Spread, truth: Truth, *, fast: bool = False, start: int = 0
) -> Iterator[Study]:
    """Studies number ``start`` and on; number k is ``study(generator(seed, k), …)``, whatever was drawn before it."""
    for index in range(start, start + studies):
        yield study(generator(seed, index), design, spread, truth, fast=fast)


def _unit(rng: np.random.Generator, spread: Spread, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Mean 0, variance 1."""
    match spread.shape:
        case "normal":
            return rng.standard_normal(shape)
        case "gamma4":
            return spread.tail * (rng.standard_gamma(4, shape) - 4) / 2
        case "exponential":
            return spread.tail * (rng.standard_exponential(shape) - 1)


def _noise(
    rng: np.random.Generator, design: Design, spread: Spread, planted: NDArray[np.float64], protocols: int
) -> NDArray[np.float64]:
    """What images add to an accuracy, as normals: ``variances`` at the planted accuracy, over the number of images."""
    methods, settings = planted.shape
    split = np.array([variances(spread.latent, p) for p in planted.ravel().tolist()]).reshape(methods, settings, 4)
    shared, method, of_set, student = np.sqrt(np.moveaxis(split, -1, 0) / design.images)[..., None, None]
    by_set = rng.standard_normal((methods, settings // protocols, design.sets)).repeat(protocols, axis=1)
    by_set[design.is_fixed] = by_set[design.is_fixed][..., :1]
    noise: NDArray[np.float64] = student * rng.standard_normal((methods, settings, design.sets, design.students))
    noise += shared * rng.standard_normal() + method * rng.standard_normal((methods, settings, 1, 1))
    noise += of_set * by_set[..., None]
    return noise
