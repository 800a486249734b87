"""docs/fidelity.md: every method that has authors' code, every point of it, and tests that are there."""

import ast
import re
from pathlib import Path

import pytest
import specs

ROOT = Path(__file__).parents[2]
POINTS = ["loss", "views", "optimiser", "groups", "targets", "start", "presets", "evaluation"]
TEXT = (ROOT / "docs" / "fidelity.md").read_text("utf-8")
SECTIONS = {part.split()[0]: part for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]}
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_distillation_has_a_section():
    made = {name for name, cls in specs.of("condenser").items() if cls.family == "distillation"}
    assert set(SECTIONS) == made - {"d4m_class"}  # a variant of ours, told of beside d4m


@pytest.mark.parametrize("method", sorted(SECTIONS))
def test_every_point_says_how_and_which_test_holds_it(method):
    rows = [line.strip("| ").split(" | ") for line in SECTIONS[method].splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] in POINTS]
    assert [row[0] for row in rows] == POINTS
    for point, said, *held in rows:
        assert said.startswith(("the same", "differs", "none", "as published")), (method, point, said)
        named = TEST.findall(" ".join(held))
        assert named or said.startswith("none"), f"{method}, {point}: no test is named"
        for path, test in named:
            tree = ast.parse((ROOT / path).read_text("utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert not test or test in functions, f"{path} has no {test}"
