"""Every block of code in README.md and docs is run, on digits, or marked with a reason and checked for what it names.

``<!-- not run: REASON -->`` above a block is the mark. A block with a title is a file of that name. Python blocks of a
page share one namespace; a block ``text title="output"`` is what the one above it prints. TOML is a study or part of
one.
"""

import os
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from decoct.cli import main
from decoct.core.errors import UsageError
from decoct.study.study import Study

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r'^(?:<!-- not run: ([^\n]*?) -->\n)?^```(\w*)(?: title="(.+?)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL
)
FENCE = re.compile(r"^\s*```", re.MULTILINE)
REST = {"name": "part", "condensers": ["random"], "protocols": ["erm"]}  # of a study that a page shows a part of
DECIMAL = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class Block:
    why: str
    language: str
    title: str
    text: str

    def lines(self):
        joined = self.text.replace("\\\n", " ")
        return [line for line in joined.splitlines() if shlex.split(line, comments=True)]


def blocks(page):
    return [Block(*found) for found in BLOCK.findall(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_are_of_a_known_language_and_marks_give_a_reason(page):
    text = page.read_text("utf-8")
    assert len(FENCE.findall(text)) == 2 * len(blocks(page)), "a fence that is no block: indented, or of other options"
    assert text.count("<!-- not run") == sum(bool(block.why) for block in blocks(page)), "a mark that is above no block"
    for block in blocks(page):
        assert block.language in {"sh", "python", "toml", "text"}, block.language
        assert not block.why or len(block.why.split()) >= 3, "say why it is not run"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_commands_are_there_with_all_their_options(page, valid):
    for line in (line for block in blocks(page) if block.language == "sh" for line in block.lines()):
        valid(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    space, printed = {"__name__": page.stem}, None
    for block in blocks(page):
        if block.title == "output":
            assert alike(printed, block.text), f"prints\n{printed}\nand the page says\n{block.text}"
            printed = None
            continue
        assert not printed, f"prints what the page does not show:\n{printed}"
        if block.title:
            Path(block.title).write_text(block.text, "utf-8")
        if block.language == "toml":
            table = tomllib.loads(block.text)
            Study.from_dict(table if "name" in table else REST | table, tmp_path)
        elif block.why:
            continue
        elif block.language == "sh":
            for line in block.lines():
                run(shlex.split(line, comments=True), monkeypatch)
            capsys.readouterr()
        elif block.language == "python" and not block.title:
            capsys.readouterr()
            exec(compile(block.text, str(page), "exec"), space)
            printed = capsys.readouterr().out
    assert not printed, f"prints what the page does not show:\n{printed}"


def run(words, monkeypatch):
    assert words[0] == "decoct", f"only decoct is run here, and {words[0]} is not marked"
    if words[1] == "run":  # in this process, on the store of all pages, where nets are shared
        words = [*words, "--store", os.environ["DECOCT_STORE"], "--workers", "1"]
    monkeypatch.setattr(sys, "argv", words)
    try:
        main()
    except SystemExit as leave:
        assert not leave.code, f"{shlex.join(words)} ended with {leave.code}"


def alike(printed, shown):
    """The same words and whole numbers; decimals within a tenth, since processors round differently."""
    mine, theirs = (DECIMAL.findall(text) for text in (printed, shown))
    same = DECIMAL.sub("#", printed).split() == DECIMAL.sub("#", shown).split()
    return same and [float(x) for x in mine] == pytest.approx([float(x) for x in theirs], rel=0.1, abs=0.1)


@pytest.mark.parametrize(
    ("printed", "shown", "expected"),
    [("a 1.00\n", "a 1.05\n", True), ("a 1.00", "a 1.50", False), ("a 2", "a 3", False), ("a 1.0", "b 1.0", False)],
)
def test_what_is_printed_is_compared_with_what_is_shown(printed, shown, expected):
    assert alike(printed, shown) is expected


@pytest.mark.parametrize(
    "line",
    [
        *("decoct condence herding", "decoct condense herdign", "decoct train SET --protokol erm", "make nothing"),
        *(
            "decoct condense rded --set factr=2",
            "decoct run examples/nothing.toml",
            "python benchmarks/plan.py --never",
        ),
        *("pip install 'decoct[nothing]'", "ray exec 'decoct run x.toml --nowhere'", "nobody"),
    ],
)
def test_a_command_that_is_not_there_is_found(valid, line):
    with pytest.raises((AssertionError, UsageError)):
        valid(line)
