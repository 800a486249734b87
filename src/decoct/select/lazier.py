"""Greedy picks of which each is the best of a few rows that are drawn, not of all."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from decoct.select.location import Location


def lazier(state: "Location", n: int, epsilon: float, seed: int) -> list[int]:
    """Lazier than lazy greedy: of each (N / n) ln(1 / ε) rows that are drawn, the one that gains the most.

    Gains only fall, so earlier ones are bounds here too: a row that is drawn again is often not looked at.

    Source:
        Mirzasoleiman et al., 2015, arXiv:1409.7938.
    """
    rng, size = np.random.default_rng(seed), len(state.rows)
    sample = math.ceil(size / n * math.log(1 / epsilon))
    left, picked = np.arange(size), list[int]()
    state.gain.fill_(torch.finfo(state.gain.dtype).max / 2)  # nothing is known of any
    while True:
        places = rng.choice(len(left), min(sample, len(left)), replace=False, shuffle=False)
        drawn = torch.from_numpy(np.sort(left[places])).to(state.rows.device)
        picked.append(state.best(drawn) if picked else state.first(drawn))
        if len(picked) == n:
            return picked
        state.take(picked[-1])
        left[places[left[places] == picked[-1]]] = left[-1]
        left = left[:-1]
