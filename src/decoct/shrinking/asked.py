"""What a user asks for: a margin, a size, a time."""

import math
from dataclasses import dataclass
from typing import Any, Self

from decoct.core.errors import UsageError
from decoct.shrinking import words
from decoct.shrinking.inference.shown import Margin


@dataclass(frozen=True)
class Asked:
    """One question.

    Attributes:
        within: the largest loss of accuracy that is accepted; or None.
        images: size of the set; or None.
        fraction: the same as a share of the candidates; or None.
        worst: the largest loss that any class may have, from 0 to 1; or None.
        minutes: to plan for; None for ten.
    """

    within: Margin | None = None
    images: int | None = None
    fraction: float | None = None
    worst: float | None = None
    minutes: float | None = None

    @classmethod
    def of(
        cls,
        within: float | str | None = None,
        images: int | None = None,
        fraction: float | None = None,
        worst: float | None = None,
        minutes: float | None = None,
    ) -> Self:
        """What the words of a call or of a command line mean; points are of a hundred.

        Raises:
            UsageError: two sizes, a size and a margin, or a number out of range.
        """
        sizes = {"within": within, "images": images, "fraction": fraction}
        said = [name for name, value in sizes.items() if value is not None]
        if len(said) > 1:
            raise UsageError(f"--{said[0]} and --{said[1]} ask for two sizes: give one of them")
        if fraction is not None and not 0 < fraction < 1:
            raise UsageError(f"--fraction is a share between 0 and 1, not {fraction:g}")
        if images is not None and images < 1:
            raise UsageError(f"--images is a number from 1, not {images}")
        if minutes is not None and not 0 < minutes < math.inf:
            raise UsageError(f"--minutes is a time above 0, not {minutes:g}")
        margin = None if within is None else Margin.of(within)
        if worst is not None and not 0 < worst < 100:
            raise UsageError(f"--worst is a number of points between 0 and 100, not {worst:g}")
        return cls(margin, images, fraction, None if worst is None else worst / 100, minutes)

    def spelt(self) -> str:
        """The margin in words, such as "3.0 points"; empty where none is asked."""
        if self.within is not None:
            return (
                f"{100 * self.within.value:g} % of the accuracy"
                if self.within.relative
                else words.points(self.within.value)
            )
        return "" if self.worst is None else f"{words.points(self.worst)} in every class"

    def to_json(self) -> dict[str, Any]:
        """What was said, and nothing else."""
        said = {name: value for name, value in vars(self).items() if value is not None and name != "within"}
        if self.within is not None:
            said |= {"within": self.within.value, "relative": self.within.relative}
        return said
