"""Digits as the data, and two of each as a set that somebody else made."""

from types import SimpleNamespace

import numpy as np
import pytest

from decoct.data.dataset import load_data


@pytest.fixture(scope="session")
def digits():
    return load_data("digits")


@pytest.fixture(scope="session")
def theirs(digits):
    """Twenty digits [20, 1, 8, 8] uint8, two a class, in an order that is not that of the classes."""
    rows = np.concatenate([np.flatnonzero(digits.train.labels == c)[:2] for c in range(10)])
    rows = np.random.default_rng(0).permutation(rows)
    return SimpleNamespace(images=np.array(digits.train.images[rows]), labels=digits.train.labels[rows])
