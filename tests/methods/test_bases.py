"""Bases that methods and metrics of one's own stand on have a short home, which imports nothing before it is used."""

import subprocess
import sys

import pytest

import decoct.methods
import decoct.metrics


@pytest.mark.parametrize("room", [decoct.methods, decoct.metrics], ids=lambda room: room.__name__)
def test_every_name_is_there_and_others_say_what_is(room):
    assert all(callable(getattr(room, name)) for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        room.absent  # noqa: B018, it is asked for


def test_looking_imports_no_torch():
    code = "import sys, decoct.methods, decoct.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
