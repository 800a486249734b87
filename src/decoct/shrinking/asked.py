"""What a user asks for: a margin, a size, a time."""

import math
from dataclasses import dataclass
from typing import Any, Self

from decoct.core.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """One question.

    Attributes:
        within: the largest loss of accuracy that is accepted, from 0 to 1; or None.
        relative: ``within`` is a share of the accuracy with all images.
        images: size of the set; or None.
        fraction: the same as a share of the candidates; or None.
        worst: the largest loss that any class may have, from 0 to 1; or None.
        minutes: to plan for; None for as long as it takes.
    """

    within: float | None = None
    relative: bool = False
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
        margin, relative = _points(within)
        if worst is not None and not 0 < worst < 100:
            raise UsageError(f"--worst is a number of points between 0 and 100, not {worst:g}")
        return cls(margin, relative, images, fraction, None if worst is None else worst / 100, minutes)

    def margin(self, full: float) -> float | None:
        """The loss that is accepted where all images reach an accuracy."""
        if self.within is None:
            return None
        return self.within * full if self.relative else self.within

    def to_json(self) -> dict[str, Any]:
        """What was said, and nothing else."""
        return {name: value for name, value in vars(self).items() if value is not None and value is not False}


def _points(said: float | str | None) -> tuple[float | None, bool]:
    """A margin from 0 to 1, and whether it is relative."""
    if said is None:
        return None, False
    text = str(said).strip()
    relative = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not 0 < number < 100:
        raise UsageError(f"--within takes points such as 1, or a share such as 2%, not '{said}'")
    return number / 100, relative
