"""Herding: real images whose running mean follows the class mean."""

from typing import ClassVar, Literal

from decoct.core.kinds import Condenser, Draft, Features, Inputs, Need
from decoct.engine import select


class Herding(Condenser):
    """Greedy mean matching in feature space (Welling, 2009; as in iCaRL, Rebuffi et al., 2017, arXiv:1611.07725).

    Picks are ordered, so the first ten of IPC 50 are the set of IPC 10.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "coreset"
    stochastic: ClassVar[bool] = False
    extractor: str = "teacher"
    normalise: Literal["none", "unit"] = "none"  # iCaRL uses unit features

    def needs(self) -> tuple[Need, ...]:
        """Features of the train images."""
        return (Features(extractor=self.extractor, normalise=self.normalise),)

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself."""
        return Draft.selected(inputs.per_class(select.herding))
