"""Random: real images, the same number of each class, drawn without replacement."""

from typing import ClassVar, Literal

import numpy as np

from decoct.core.kinds import Condenser, Draft, Inputs
from decoct.core.seeds import seed


class Random(Condenser):
    """A balanced uniform draw.

    Each class is put in a random order that does not depend on the budget, so the first ten of IPC 50 are IPC 10.
    """

    family: ClassVar[Literal["coreset", "distillation"]] = "coreset"

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself."""
        picked = []
        for c, (rows, quota) in enumerate(zip(inputs.members(), inputs.quotas(), strict=True)):
            rng = np.random.default_rng(seed(inputs.seed, self.name, c))
            picked.append(rng.permutation(rows)[:quota])
            inputs.progress(c + 1, len(inputs.data.class_names))
        return Draft.selected(np.concatenate(picked))
