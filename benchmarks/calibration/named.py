"""The studies that the calibration names, each with its spread of differences in closed form."""

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from calibration.generators import Design, Spread, Study, Truth, study
from calibration.latent import variances


@dataclass(frozen=True)
class Case:
    """A design and a spread that belong together."""

    design: Design
    spread: Spread

    def at(self, sets: int | None = None, students: int | None = None, images: int | None = None) -> "Case":
        """With other sizes; those not given stay."""
        wanted = {"sets": sets, "students": students, "images": images}
        given: dict[str, Any] = {name: size for name, size in wanted.items() if size is not None}
        return replace(self, design=replace(self.design, **given))

    def draw(self, rng: np.random.Generator, truth: Truth, *, fast: bool = False) -> Study:
        return study(rng, self.design, self.spread, truth, fast=fast)

    def sd_of_difference(self, a: str, b: str, setting: str, accuracy: float = 0.6) -> float:
        """Points: sd over replicates of the paired difference of set means, on given images (0: on all there are).

        Both methods have ``accuracy``. Under failures the part of images is as without them, a little off.
        """
        return 100 * sqrt(self._over_replicates(a, setting, accuracy) + self._over_replicates(b, setting, accuracy))

    def sd_of_mean(self, a: str, b: str, setting: str, accuracy: float = 0.6) -> float:
        """Points: sd of a study's mean difference over new sets, students and images, which one interval must cover."""
        sets, images = self.design.sets, self.design.images
        _, method, of_set, _ = variances(self.spread.latent, accuracy)
        total = self.sd_of_difference(a, b, setting, accuracy) ** 2 / sets / 1e4
        for name in (a, b) if images else ():
            total += (method + (of_set if name in self.design.fixed else 0)) / images
        return 100 * sqrt(total)

    def _over_replicates(self, method: str, setting: str, accuracy: float) -> float:
        """Variance over replicates of one method's set mean, without what is shared by all methods."""
        spread, students = self.spread, self.design.students
        factor = spread.wide.get((method, setting), 1.0) ** 2 * spread.mean_square_factor()
        own = factor * spread.students**2 + spread.drop**2 * spread.failing * (1 - spread.failing)
        of_set = factor * spread.sets**2
        if self.design.images:
            _, _, set_image, student_image = variances(spread.latent, accuracy)
            own += 1e4 * student_image / self.design.images
            of_set += 1e4 * set_image / self.design.images
        return ((0 if method in self.design.fixed else of_set) + own / students) / 1e4


def wide(sd: float) -> Spread:
    """Sets and students scaled: paired differences of two stochastic methods have this sd in points, images apart."""
    plain = Spread()
    scale = sd / sqrt(2 * (plain.sets**2 + plain.students**2))
    return Spread(sets=scale * plain.sets, students=scale * plain.students)


DESIGN = Design()
OWN_SETS = Design(fixed=())  # a teacher a set: no coreset is fixed

NAMED: dict[str, Case] = {
    "normal": Case(DESIGN, Spread()),
    **{f"sd_{sd:g}": Case(DESIGN, wide(sd)) for sd in (0.9, 1.2, 2.0, 2.2, 4.0)},
    "six_wide": Case(
        DESIGN, Spread(wide={(DESIGN.distilled[k], setting): 5.0 for k, setting in enumerate(DESIGN.settings)})
    ),
    "unequal": Case(DESIGN, Spread(unequal=2.0)),
    "same_sets": Case(DESIGN, Spread(same_sets=True)),
    "gamma4": Case(OWN_SETS, Spread(shape="gamma4")),
    "exponential": Case(OWN_SETS, Spread(shape="exponential")),
    "one_sided": Case(DESIGN, Spread(shape="gamma4", one_sided=True)),
    "one_sided_down": Case(DESIGN, Spread(shape="gamma4", one_sided=True, tail=-1)),
    "one_sided_exponential": Case(DESIGN, Spread(shape="exponential", one_sided=True)),
    "failures": Case(DESIGN, Spread(failing=0.1, drop=30.0)),
}
