"""k-center: real images that leave no image of their class far from a pick."""

from typing import ClassVar, Literal

from decoct.core.kinds import Condenser, Draft, Features, Inputs, Need
from decoct.engine import select


class KCenter(Condenser):
    """Greedy farthest-first traversal in feature space (Gonzalez, 1985; Sener and Savarese, 2018, arXiv:1708.00489).

    Starts at the image nearest the class mean. Picks are ordered, so the first ten of IPC 50 are the set of IPC 10.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "coreset"
    stochastic: ClassVar[bool] = False
    extractor: str = "teacher"
    normalise: Literal["none", "unit"] = "none"

    def needs(self) -> tuple[Need, ...]:
        """Features of the train images."""
        return (Features(extractor=self.extractor, normalise=self.normalise),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself."""
        return Draft.selected(inputs.per_class(select.k_center))
