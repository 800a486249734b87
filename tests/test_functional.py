"""The lazy front of the metrics."""

import subprocess
import sys

import pytest

import decoct.functional as functional
from decoct.core.spec import names


def test_every_metric_is_there_under_its_name():
    assert functional.__all__ == [
        *("covering_radius", "distances", "fld", "frechet", "kid", "label_spread", "memorisation", "mmd", "modes"),
        *("prdc", "realism", "sliced_wasserstein", "vendi"),
    ]
    assert set(functional.__all__) == set(names("metric")) - {"cost"}  # which is measured, and no function of features
    for name in functional.__all__:
        function = getattr(functional, name)
        assert function.__name__ == name and function.__module__ == f"decoct.metrics.{name}"
    assert dir(functional) == functional.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fid'"):
        _ = functional.fid


def test_torch_is_not_imported_before_a_metric_is_used():
    code = "import sys; sys.modules['torch'] = None; import decoct.functional as f; dir(f); print('light'); f.vendi"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout == "light\n" and "import of torch halted" in said.stderr
