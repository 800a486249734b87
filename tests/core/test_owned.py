"""What decoct writes is there whole or not at all, and nothing that it did not make is replaced."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.condensed import Condensed
from decoct.core.errors import UsageError
from decoct.core.hub_folder import write_parquet
from decoct.core.owned import LIST, check_free, check_own, foreign, holds, whole
from decoct.core.record import Provenance
from decoct.core.scratch import scratch


def make(target, *names):
    with whole(target) as beside:
        for name in names:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_text("made")


def below(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def made():
    pixels = np.zeros((4, 1, 8, 8), np.uint8)
    return Condensed(np.array([0, 0, 1, 1]), ("a/b", "c"), Provenance(method="m"), images=pixels)


def test_what_was_there_is_replaced_only_at_the_end(tmp_path):
    target = tmp_path / "deep" / "set"
    make(target, "one", "in/two")
    before = below(target)
    with pytest.raises(ValueError), whole(target) as beside:
        beside.mkdir()
        (beside / "half").touch()
        raise ValueError
    assert below(target) == before
    make(target, "three")
    assert below(target).keys() == {"three", LIST} and list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["thesis.tex", ".git/config", "in/mine", "in/deep/mine", ".gitignore"])
def test_what_decoct_did_not_make_stays_and_is_named(tmp_path, name):
    target = tmp_path / "set"
    make(target, "one", "in/two")
    (target / name).parent.mkdir(exist_ok=True, parents=True)
    (target / name).write_text("mine")
    before = below(target)
    shown = ".git" if name.startswith(".git/") else "in/deep" if "deep" in name else name
    assert foreign(target) == [shown]
    with pytest.raises(UsageError, match=f"{target} holds what is on no list there: {shown}\nchoose another --out"):
        check_free(target, force=True)
    with pytest.raises(UsageError):  # it may have come while the set was made
        make(target, "three")
    assert below(target) == before and list(tmp_path.iterdir()) == [target]


def test_a_folder_without_a_list_is_anybody_s(tmp_path):
    for name in "abcd":
        (tmp_path / "set" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="a, b, c and 1 more"):
        check_free(tmp_path / "set", force=True)
    with pytest.raises(UsageError, match="exists: choose another --out, or replace it with --force"):
        check_free(tmp_path / "set", force=False)
    (tmp_path / "set" / LIST).write_text("{")
    assert LIST in foreign(tmp_path / "set")
    check_free(tmp_path / "none", force=False)


@pytest.mark.parametrize("listed", ["3", "null", "{}", "[[]]", '["../a.txt", "/etc", ".."]'])
def test_a_list_that_is_none_lists_nothing(tmp_path, listed):
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b.txt").write_text("mine")
    (tmp_path / "set" / LIST).write_text(listed)
    assert "b.txt" in foreign(tmp_path / "set")


def test_links_are_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "two").write_text("mine")
    target = tmp_path / "set"
    make(target, "in/two")
    shutil.rmtree(target / "in")
    (target / "in").symlink_to(mine)
    assert foreign(target) == ["in"]
    place = tmp_path / "place"
    make(place, "one")
    (tmp_path / "link").symlink_to(place)
    make(tmp_path / "link", "three")
    assert (tmp_path / "link").is_symlink() and below(place).keys() == {"three", LIST}
    assert below(mine) == {"two": "mine"}


def test_of_files_only_an_export_is_replaced(tmp_path, made):
    write_parquet(tmp_path / "made.parquet", made)
    check_free(tmp_path / "made.parquet", force=True)
    for content in (b"", b"mine", (tmp_path / "made.parquet").read_bytes()[:-9]):
        (tmp_path / "mine").write_bytes(content)
        with pytest.raises(UsageError, match="not an export of decoct's, so --force leaves it alone"):
            check_free(tmp_path / "mine", force=True)
    with whole(tmp_path / "made.parquet") as beside:
        beside.write_text("new")
    assert (tmp_path / "made.parquet").read_text() == "new"


names = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), max_size=8, unique=True)


@settings(max_examples=40, deadline=None)
@given(own=names, others=names)
def test_whatever_lies_there_only_what_was_made_goes(tmp_path_factory, own, others):
    target = tmp_path_factory.mktemp("places") / "set"
    own = [name for name in own if not any(other.startswith(f"{name}/") for other in own)]
    with whole(target) as beside:
        beside.mkdir()
        for name in own:
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_text("made")
    added = set()
    for name in others:
        if not (target / name).exists() and all(not p.is_file() for p in (target / name).parents):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text("mine")
            added.add(name)
    if added:
        with pytest.raises(UsageError):
            make(target, "new")
        assert {name for name, text in below(target).items() if text == "mine"} == added
    else:
        make(target, "new")
        assert below(target).keys() == {"new", LIST}


def test_what_comes_while_the_old_is_removed_stays(tmp_path, monkeypatch):
    target = tmp_path / "set"
    make(target, "one")
    rename = os.rename

    def late(source, place):
        rename(source, place)
        if os.fspath(source) == str(target):
            (tmp_path / place / "mine").write_text("mine")

    monkeypatch.setattr(os, "rename", late)
    make(target, "two")
    assert below(target).keys() == {"two", LIST}
    assert [p.read_text() for p in tmp_path.glob(".tmp-*/*")] == ["mine"]


def test_where_the_new_one_cannot_be_put_the_old_one_comes_back(tmp_path, monkeypatch):
    target = tmp_path / "set"
    make(target, "one")
    rename = os.rename

    def fail(source, place):
        if os.fspath(place) == str(target) and (tmp_path / source / "two").exists():
            raise OSError("no")
        rename(source, place)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="no"):
        make(target, "two")
    assert below(target).keys() == {"one", LIST} and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("swapping", [False, True])
def test_who_is_killed_leaves_what_the_next_one_replaces(tmp_path, swapping):
    target = tmp_path / "set"
    make(target, "one")
    script = f"""
import os, signal
from pathlib import Path
from decoct.core.owned import whole
rename = os.rename
def killed(source, place):
    rename(source, place)
    os.kill(os.getpid(), signal.SIGKILL)
with whole(Path({str(target)!r})) as beside:
    beside.mkdir()
    (beside / "half").touch()
    if not {swapping}:
        os.kill(os.getpid(), signal.SIGKILL)
    os.rename = killed
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    assert target.exists() is not swapping and len(list(tmp_path.glob(".tmp-*"))) == 1 + swapping
    mine = tmp_path / scratch("another")  # of a process that lives
    mine.mkdir()
    check_free(target, force=True)
    make(target, "two")
    assert below(target).keys() == {"two", LIST} and set(tmp_path.iterdir()) == {target, mine}


def test_names_that_are_taken_are_said(tmp_path):
    for name in ("a.csv", "other"):
        (tmp_path / name).touch()
    (tmp_path / "tables").mkdir()
    with pytest.raises(UsageError, match=r"holds a\.csv, tables, which decoct did not write\nchoose another --out"):
        check_own(tmp_path, ("a.csv", "b.csv", "tables"), ours=False)
    check_own(tmp_path, ("a.csv",), ours=True)
    check_own(tmp_path, ("b.csv",), ours=False)
    check_own(tmp_path / "none", ("a.csv",), ours=False)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b'{"jobs": 1}', True), (b"{}", False), (b'["jobs"]', False), (b'"jobs"', False), (b"{", False), (b"\xff", False)],
)
def test_a_mark_is_a_key_of_an_object(tmp_path, content, found):
    (tmp_path / "a.json").write_bytes(content)
    assert holds(tmp_path / "a.json", "jobs") is found
    assert not holds(tmp_path / "none.json", "jobs") and not holds(tmp_path, "jobs")
