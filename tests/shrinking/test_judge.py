from types import SimpleNamespace

import numpy as np
import pytest

from decoct.shrinking.judge import LABELS, foretold


@pytest.mark.parametrize(("folds", "seconds", "expected"), [(1, 0.1, LABELS * 0.1 * 90 / 2), (5, 0.1, 0), (1, 0, 0)])
def test_labels_are_judged_by_the_test_where_all_images_are_tested(folds, seconds, expected):
    job = SimpleNamespace(folds=range(folds), candidates=np.arange(120))
    trainings = SimpleNamespace(seconds=lambda n: seconds * n or None, workers=2)
    assert foretold(job, trainings) == pytest.approx(expected)
