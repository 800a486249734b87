"""What a method gets and a protocol gives has types: a checker finds the slips of a plug-in."""

import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from decoct.core import interfaces as kinds

SLIPS = '''"""A method with a slip on each marked line."""

from decoct.core.interfaces import Condenser, Draft, Inputs, Task, TrainProtocol
from decoct.training.recipe import Recipe
from decoct.needs.dynamics import Dynamics
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher


class Sloppy(Condenser):
    """It slips."""

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick nothing."""
        inputs.data.trian  # slip
        inputs.dynamics[Dynamics()].runs[0].margins  # slip
        inputs.features[Teacher()]  # slip
        inputs.teachers["teacher"].evaluate()  # slip
        return Draft.selected(inputs.features[Features()].argmax(0))


class Slack(TrainProtocol):
    """It slips."""

    def recipe(self, task: Task) -> Recipe:
        """None at all."""
        return task.images  # slip

    def storing(self) -> str:  # slip
        """A word."""
        return "all"
'''


def test_no_field_of_inputs_but_that_of_others_needs_is_untyped():
    """The names are those that ``core`` imports for a checker alone."""
    text = Path(kinds.__file__).read_text("utf-8")
    names = vars(kinds).copy()
    exec("\n".join(re.findall(r"^    (from decoct\S+ import .*|from torch import nn)$", text, re.M)), names)
    hints = typing.get_type_hints(kinds.Inputs, names)
    loose = {name for name, hint in hints.items() if typing.Any in (hint, *typing.get_args(hint))}
    assert loose == {"others"}
    assert typing.get_type_hints(kinds.TrainProtocol.recipe, names)["return"].__name__ == "Recipe"


@pytest.mark.slow
def test_strict_mypy_sees_every_slip_of_a_plug_in_and_no_other(tmp_path):
    file = tmp_path / "sloppy.py"
    file.write_text(SLIPS)
    root = Path(kinds.__file__).parents[3]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", root / "pyproject.toml", file]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
    found = {int(line) for line in re.findall(r"sloppy\.py:(\d+): error", said)}
    assert found == {number for number, line in enumerate(SLIPS.splitlines(), 1) if "# slip" in line}, said
