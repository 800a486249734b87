"""Parts that coresets share: the groups of train images to pick from, and picking by features."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoct import select
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.needs.features import Features

POOLED = -1


class Group(NamedTuple):
    """Train images that picks are made among.

    Attributes:
        name: the class; ``POOLED`` for all classes together.
        rows: [n] train indices, ascending.
        quota: number of picks.
        seed: of draws in this group.
    """

    name: int
    rows: NDArray[np.int64]
    quota: int
    seed: int


class Coreset(Condenser):
    """A selection of real images, in each class by itself.

    Attributes:
        pooled: pick among all classes together, as many as the budget gives in all; classes are not balanced then.
    """

    family = "coreset"
    stochastic = False

    pooled: bool = False

    def together(self, ipc: int) -> int | None:
        """Classes are independent, unless they are pooled."""
        return None if self.pooled else 1

    def groups(self, inputs: Inputs) -> list[Group]:
        """The classes that are wanted, or all images in one."""
        members, quotas = inputs.members(), inputs.quotas()
        if self.pooled:
            rows = np.sort(np.concatenate(members))
            return [Group(POOLED, rows, sum(quotas), seed(inputs.seed, self.name, POOLED))]
        return [
            Group(c, rows, quota, seed(inputs.seed, self.name, c))
            for c, rows, quota in zip(inputs.wanted(), members, quotas, strict=True)
        ]

    def from_groups(self, inputs: Inputs, pick: Callable[[Group], NDArray[np.int64]]) -> Draft:
        """The train indices that ``pick`` gives of each group, one group after the other."""
        picked = [np.empty(0, np.int64)]
        for done, group in enumerate(groups := self.groups(inputs)):
            picked.append(pick(group) if group.quota else group.rows[:0])
            inputs.progress(done + 1, len(groups))
        return Draft.selected(np.concatenate(picked))


class FeatureCoreset(Coreset):
    """A coreset that looks at features alone: a method says how it picks among the rows of an array.

    Attributes:
        extractor: whose features.
        normalise: "unit" scales each image's features to length 1.
    """

    extractor: str = "teacher"
    normalise: Literal["none", "unit"] = "none"

    def needs(self) -> tuple[Need, ...]:
        """Features of the train images."""
        return (Features(extractor=self.extractor),)

    def pick(self, features: NDArray[Any], n: int, seed: int) -> ArrayLike:
        """``n`` rows of [N, d] features in order of picking."""
        raise DecoctError(f"{self.name} does not say how it picks: define pick(self, features, n, seed)")

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself, or among all images."""
        return self.picked(inputs, lambda group, features: self.pick(features, group.quota, group.seed))

    def picked(self, inputs: Inputs, pick: Callable[[Group, NDArray[Any]], ArrayLike]) -> Draft:
        """What ``pick`` picks in each group: it gets the group and its features [n, d], and gives rows of them."""
        groups = self.groups(inputs)

        def rows_of(number: int, features: NDArray[Any]) -> NDArray[np.int64]:
            group = groups[number]
            if group.quota == 0:
                return group.rows[:0]
            return np.take(group.rows, np.asarray(pick(group, self.scaled(features))))

        features = inputs.features[Features(extractor=self.extractor)]
        rows = [group.rows for group in groups]
        return Draft.selected(np.concatenate(select.each(rows_of, features, rows, progress=inputs.progress)))

    def scaled(self, features: NDArray[Any]) -> NDArray[Any]:
        """Features as the method looks at them."""
        return unit(features) if self.normalise == "unit" else features


def unit(features: NDArray[Any]) -> NDArray[Any]:
    """Rows scaled to length 1, in float32 or better; a row of zeros stays."""
    rows = features.astype(np.result_type(features.dtype, np.float32), copy=False)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[Any] = rows / np.where(length > 0, length, 1)
    return scaled
