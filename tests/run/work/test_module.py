"""A student of the caller's own learns from a set as a named one does, weights and all."""

import numpy as np
import pytest
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.kinds import Machine
from decoct.core.record import Provenance
from decoct.protocols.erm import ERM
from decoct.protocols.erm_long import ERMLong
from decoct.run.work.module import train_module


class Heard(nn.Module):
    """A linear net on pixels: what it gets wrong on the test split hangs on every weight."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1))


@pytest.mark.parametrize("protocol", [ERM(steps=30, batch=5, augment=False), ERMLong(steps=30, batch=5)])
def test_its_loss_counts_each_image_by_its_weight(digits, protocol):
    rows = np.array([np.flatnonzero(digits.train.labels == c)[0] for c in range(10)])
    images, labels = np.asarray(digits.train.images[rows]), np.arange(10)

    def trained(weights, labels=labels):
        given = None if weights is None else np.asarray(weights, np.float32)
        made = Condensed(labels, digits.class_names, Provenance(method="m"), images=images, weights=given)
        return train_module(made, digits, protocol, Heard, [0, 1], teachers=[], machine=Machine())

    plain, some = trained(None), [1, 1, 0, 1, 1, 0, 1, 1, 1, 1]
    assert trained([5.0] * 10) == plain
    assert trained(some) != plain
    assert trained(some, np.where(np.array(some) == 0, 0, labels)) == trained(some)
