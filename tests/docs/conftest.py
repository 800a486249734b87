"""The hooks of the site, and what can be said of a command without running it."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from decoct.cli import app
from decoct.cli.options import fields
from decoct.core.spec import names, parse

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "hooks"))
OTHERS = {"ray", "sbatch", "hf"}  # programs that are not ours: what they take is theirs to say
NAMED = {"--protocol": ("protocol", {"train", "relabel"}), "--metric": ("metric", {"measure"})}  # of these commands


@pytest.fixture(scope="session")
def valid():
    """``valid(LINE)`` fails unless the command is there, with its options, and the names and files that it names."""
    return check


def check(line):
    said = shlex.split(line, comments=True)
    while said and re.match(r"[A-Z_]+=", said[0]):
        said.pop(0)
    program, rest = Path(said[0]).name, said[1:]
    for word in rest:
        assert not word.startswith(("examples/", "benchmarks/")) or (ROOT / word).exists(), f"{word} is not there"
        if " " in word and "decoct " in word:  # a command for another machine
            check(word)
    if program == "decoct":
        check_decoct(rest)
    elif program == "python":
        text = (ROOT / rest[0]).read_text("utf-8")
        for option in (word for word in rest[1:] if word.startswith("--")):
            assert f'"{option}"' in text, f"{rest[0]} has no {option}"
    elif program == "make":
        assert re.search(rf"^(\w.*)?\b{rest[0]}\b.*:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    elif program == "pip":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        for extra in re.findall(r"(?:\.|decoct)\[([\w,]+)\]", " ".join(rest)):
            assert set(extra.split(",")) <= set(known), f"there is no extra {extra}"
    else:
        assert program in OTHERS, f"who is {program}?"


def check_decoct(said):
    commands = typer.main.get_command(app).commands
    assert said[0] in commands, f"there is no decoct {said[0]}"
    options = {word: p for p in commands[said[0]].params for word in (*p.opts, *p.secondary_opts)}
    given, free, rest = {}, [], iter(said[1:])
    for word in rest:
        if not word.startswith("-"):
            free.append(word)
            continue
        assert word in options, f"decoct {said[0]} has no {word}"
        if not options[word].is_flag:
            given.setdefault(word, []).append(next(rest))
    plugged = "--plugin" in given
    for word, (kind, of) in NAMED.items():
        for name in given.get(word, ()) if said[0] in of else ():
            assert plugged or name in names(kind), f"there is no {kind} {name}"
    if said[0] in ("condense", "check") and not plugged:
        parse("condenser", {"name": free[0], **fields(given.get("--set"))})
    if said[0] == "train" and "--protocol" in given and not plugged:
        parse("protocol", {"name": given["--protocol"][0], **fields(given.get("--set"))})
