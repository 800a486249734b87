"""How large a condensed set may be, and how many of its images each class gives.

Both ways to share images between classes deal them out one at a time, in an order that does not depend on their number,
so a larger budget gives no class fewer. The method of the largest remainder breaks this rule (the Alabama paradox).
"""

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from decoct.core.bounds import Bounded
from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import build


class Budget(Bounded):
    """A number of images, in one of three words; as text ``ipc=10``, ``fraction=0.1 balanced``, ``images=500``.

    Attributes:
        ipc: images of each class.
        fraction: share of the train split, rounded to whole images in all. Each class gives that share of its own, so
            that imbalance is kept.
        images: images in all, the same number of each class.
        balanced: of ``fraction``, the same number of each class, as many images in all; of ``images``, False for
            numbers in proportion to the classes. None, which is what the default becomes, for the word's own way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    ipc: int | None = Field(None, ge=1)
    fraction: float | None = Field(None, gt=0, le=1)
    images: int | None = Field(None, ge=1)
    balanced: bool | None = None

    @model_validator(mode="after")
    def _meant(self) -> Self:
        words = [word for word in ("ipc", "fraction", "images") if getattr(self, word) is not None]
        if len(words) != 1:
            raise PydanticCustomError("budget", "say exactly one of ipc, fraction and images")
        if words == ["ipc"] and self.balanced is not None:
            raise PydanticCustomError("budget", "balanced goes with fraction or images; ipc is the same for each class")
        if self.balanced == (words == ["images"]):
            self.__dict__["balanced"] = None  # one budget has one key, whether or not its default is said
        return self

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is said alone: new words move no key of those that were there before."""
        return {word: value for word, value in handler(self).items() if value is not None}

    @classmethod
    def asked(
        cls,
        ipc: int | None = None,
        fraction: float | None = None,
        images: int | None = None,
        balanced: bool | None = None,
    ) -> "Budget":
        """What the words of a call or of a command line mean: IPC 10 where no number is given.

        Raises:
            UsageError: several numbers, a number out of range, or ``balanced`` without ``fraction`` or ``images``.
        """
        words = {"ipc": ipc, "fraction": fraction, "images": images, "balanced": balanced}
        said = {word: value for word, value in words.items() if value is not None}
        return build(cls, said if said.keys() - {"balanced"} else {"ipc": 10, **said}, "budget")

    @classmethod
    def read(cls, text: str) -> "Budget | None":
        """The budget that a text means; None if it means none, such as "all"."""
        word, _, rest = text.partition("=")
        number, _, way = rest.partition(" ")
        with suppress(TypeError, ValueError):
            if str(budget := cls(**{word: number, **({"balanced": way == "balanced"} if way else {})})) == text:
                return budget
        return None

    def __str__(self) -> str:
        if self.ipc is not None:
            return f"ipc={self.ipc}"
        if self.fraction is not None:
            return f"fraction={self.fraction!r}" + (" balanced" if self.balanced else "")
        return f"images={self.images}" + ("" if self.balanced is None else " unbalanced")

    def total(self, images: int, classes: int) -> int:
        """Images of a set in all, of a train split of so many images and classes."""
        if self.ipc is not None:
            return self.ipc * classes
        if self.images is not None:
            return self.images
        assert self.fraction is not None
        return max(1, round(self.fraction * images))

    def per_class(self, counts: Sequence[int], class_names: Sequence[str]) -> list[int]:
        """How many of its ``counts`` images each class gives; some give none where images are fewer than classes.

        Raises:
            DecoctError: a class, or all together, have fewer images than the budget asks for.
        """
        if self.ipc is not None:
            for count, name in zip(counts, class_names, strict=True):
                if count < self.ipc:
                    raise DecoctError(
                        f"class '{name}' has {count} training images, fewer than ipc={self.ipc}: lower --ipc"
                    )
            return [self.ipc] * len(counts)
        have, total = sum(counts), self.total(sum(counts), len(counts))
        if total > have:
            raise DecoctError(f"there are {have} training images, fewer than {self}: lower --images")
        balanced = self.balanced if self.balanced is not None else self.images is not None
        return equal(counts, total) if balanced else proportional(counts, total)

    def of_each(self, method: str, counts: Sequence[int], class_names: Sequence[str]) -> int:
        """The number of images of every class, for a method that makes as many of each.

        Raises:
            UsageError: the classes would give different numbers, or one of them none.
            DecoctError: as ``per_class``.
        """
        quotas = self.per_class(counts, class_names)
        fewest, most = min(quotas), max(quotas)
        if fewest < most or not most:
            few, many = class_names[quotas.index(fewest)], class_names[quotas.index(most)]
            raise UsageError(
                f"{method} makes the same number of images of each class, and the budget {self} gives {fewest} of "
                f"'{few}' and {most} of '{many}': use ipc, or balanced = true and a number that divides evenly"
            )
        return most


def equal(counts: Sequence[int], total: int) -> list[int]:
    """The same number of each class; one that is too small gives all that it has, and the others share the rest.

    What does not go round evenly comes from the first of the classes that have more. The total is at most all images.
    """
    sizes = range(max(counts, default=0) + 1)
    level = bisect_right(sizes, total, key=lambda size: sum(min(count, size) for count in counts)) - 1
    shares = [min(count, level) for count in counts]
    more = [c for c, count in enumerate(counts) if count > level]
    for c in more[: total - sum(shares)]:
        shares[c] += 1
    return shares


def proportional(counts: Sequence[int], total: int) -> list[int]:
    """Each class in proportion to its size, and at least one image of each where ``total`` is that large.

    Webster's (Sainte-Laguë's) method with a first image for everyone: image number s of a class of n images comes in
    the order of 0 for s = 1 and (s − ½) / n beyond; among equals the largest class first, then the first. So there
    are all images of all classes at ``total = sum(counts)``, and at fewer than there are classes it is the largest
    classes that give one.
    """
    have, first = sum(counts), sum(count > 0 for count in counts)
    # At the threshold x = (total − first) / have every class gives max(1, ⌊n x + ½⌋) ≤ n x + 1: never too many in all.
    spare = total - first
    shares = [0 if spare < 0 or not n else max(1, (2 * n * spare + have) // (2 * have)) for n in counts]

    def place(c: int) -> tuple[Fraction, int, int]:
        return Fraction(2 * shares[c] + 1, 2 * counts[c]) if shares[c] else Fraction(0), -counts[c], c

    heap = [place(c) for c, count in enumerate(counts) if count]
    heapq.heapify(heap)
    for _ in range(total - sum(shares)):
        c = heap[0][-1]
        shares[c] += 1
        heapq.heapreplace(heap, place(c))
    return shares
