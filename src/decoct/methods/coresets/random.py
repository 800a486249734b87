"""Random: real images, the same number of each class, drawn without replacement."""

import numpy as np

from decoct.core.interfaces import Draft, Inputs
from decoct.methods.coresets._shared.coreset import Coreset


class Random(Coreset):
    """A uniform draw.

    Each class is put in a random order that does not depend on the budget, so the first ten of IPC 50 are IPC 10.
    """

    stochastic = True

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself, or among all images."""
        return self.from_groups(inputs, lambda g: np.random.default_rng(g.seed).permutation(g.rows)[: g.quota])
