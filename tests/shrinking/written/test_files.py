"""A set as the user's own files: as they were, all or nothing, originals untouched."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple

import numpy as np
import pytest
from tests.shrinking.pools import make_pool, path_of, tree

from decoct.core.errors import DecoctError, UsageError
from decoct.data.reading.tree import scan
from decoct.shrinking.answer import Problem
from decoct.shrinking.written.files import check_out, export

FILES = [
    "train/Bär/ä 1.JPG",
    "train/Bär/2.png",
    "train/öl/sub/1.webp",
    "train/öl/2.gif",
    "test/Bär/1.png",
    "test/öl/1.png",
]
LABELS, SPLIT, WHY = [0, 0, 1, 1, 0, 1], [0, 0, 0, 0, 2, 2], ["because"] * 6
KEPT = np.array([2, 0])


@pytest.fixture
def pool(tmp_path):
    tree(tmp_path / "photos", FILES)
    return make_pool(tmp_path / "pool", FILES, LABELS, ["Bär", "öl"], SPLIT, tmp_path / "photos")


def no_bytes(pool, row):
    raise AssertionError("the file is there")


def exported(pool, out, how="copy", kept=KEPT, **more):
    more = {"original": no_bytes, "original_path": path_of} | more
    return export(pool, kept, out, how, ["because"] * len(pool), **more)


def state(root):
    return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in root.rglob("*")}


def pictures(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*") if path.parent != out)


@pytest.mark.parametrize("how", ["copy", "symlink", "hardlink", "list"])
def test_files_are_as_they_were_and_originals_stay(tmp_path, pool, how):
    before, out = state(tmp_path / "photos"), tmp_path / "new" / "small"
    assert exported(pool, out, how) == ()
    assert state(tmp_path / "photos") == before
    assert pictures(out) == ([] if how == "list" else [FILES[0], FILES[2]])
    for file in pictures(out):
        assert (out / file).read_bytes() == (tmp_path / "photos" / file).read_bytes()
        assert (out / file).is_symlink() == (how == "symlink")
        assert (out / file).samefile(tmp_path / "photos" / file) == (how != "copy")
    with (out / "kept.csv").open(encoding="utf-8", newline="") as lines:
        listed = list(csv.DictReader(lines))
    assert [row["path"] for row in listed] == [FILES[2], FILES[0]]
    assert [row.get("file") for row in listed] == ([None] * 2 if how == "list" else [FILES[2], FILES[0]])
    assert len((out / "left_out.csv").read_text("utf-8").splitlines()) == 1 + 4


def test_the_folder_is_a_tree_that_decoct_reads(tmp_path, pool):
    exported(pool, tmp_path / "small", kept=np.arange(4))
    assert scan(tmp_path / "small") == {"train": {"Bär": [FILES[1], FILES[0]], "öl": [FILES[3], FILES[2]]}}


def test_images_without_files_are_written_as_they_were(tmp_path):
    pool = make_pool(tmp_path / "pool", ["shard-0.tar/1", "shard-0.tar/2.jpg"], [0, 1], ["a", "b"])
    data = {0: (b"GIF89a", "gif"), 1: (b"\xff\xd8", ".jpg")}
    read = []
    original = lambda pool, row: (read.append(row), data[row])[1]  # noqa: E731
    nowhere = {"original": original, "original_path": lambda pool, row: None}
    assert exported(pool, tmp_path / "small", kept=np.array([1, 0]), **nowhere) == ()  # an ending is no other name
    assert {f: (tmp_path / "small" / f).read_bytes() for f in pictures(tmp_path / "small")} == {
        "a/1.gif": b"GIF89a",
        "b/2.jpg": b"\xff\xd8",
    }
    assert sorted(read) == [0, 1]  # each once
    assert not list((tmp_path / "small").glob(".*.part"))
    for how in ("symlink", "hardlink"):
        with pytest.raises(UsageError, match="use --as copy or --as list"):
            exported(pool, tmp_path / how, how, np.array([0]), original_path=lambda pool, row: None)


def test_paths_outside_the_source_are_written_inside_and_said(tmp_path):
    tree(tmp_path / "elsewhere", ["x/1.png", "y/1.png"])
    paths = ["../elsewhere/x/1.png", str(tmp_path / "elsewhere" / "y" / "1.png")]
    (tmp_path / "table").mkdir()
    pool = make_pool(tmp_path / "pool", paths, [0, 0], ["cat", "dog"], source=tmp_path / "table")
    said = exported(pool, tmp_path / "small", kept=np.array([0, 1]))
    assert all(file.startswith("cat/") for file in pictures(tmp_path / "small"))
    assert {(tmp_path / "small" / f).read_bytes() for f in pictures(tmp_path / "small")} == {b"\0" * 10, b"\1" * 11}
    assert len(said) == 1 and said[0].startswith("2 paths lead out of the folder")


def test_names_that_clash_get_a_number_and_are_said(tmp_path):
    tree(tmp_path / "photos", ["x/1.png"])
    pool = make_pool(tmp_path / "pool", ["x/1.png", "./x/1.png"], [0, 0], ["cat", "dog"], source=tmp_path / "photos")
    said = exported(pool, tmp_path / "small", kept=np.array([0, 1]))
    assert pictures(tmp_path / "small") == ["cat/1-2.png", "cat/1.png"]
    assert "1 file has another name than in the source, such as cat/1-2.png for ./x/1.png" in said[0]


def test_a_hard_link_to_another_disk_says_what_to_do_and_leaves_nothing(tmp_path, pool, monkeypatch):
    def link(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(UsageError, match=r"another disk\nuse --as copy, or --as symlink"):
        exported(pool, tmp_path / "small", "hardlink")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "pool"]


def test_what_is_there_is_replaced_only_if_it_is_decocts_and_it_is_asked(tmp_path, pool):
    out = tmp_path / "small"
    exported(pool, out)
    with pytest.raises(UsageError, match="--force"):
        exported(pool, out)
    exported(pool, out, kept=np.array([1]), force=True)
    assert pictures(out) == [FILES[1]]
    (out / "train" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        exported(pool, out, force=True)
    assert (out / FILES[1]).exists() and (out / "train" / "mine.txt").read_text() == "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "a.txt").touch()
    with pytest.raises(UsageError, match=r"a\.txt"):
        exported(pool, foreign, force=True)


def test_links_are_replaced_and_not_what_they_lead_to(tmp_path, pool):
    before = state(tmp_path / "photos")
    exported(pool, tmp_path / "small", "symlink")
    exported(pool, tmp_path / "small", "hardlink", kept=np.array([1]), force=True)
    exported(pool, tmp_path / "small", "copy", kept=np.array([3]), force=True)
    assert pictures(tmp_path / "small") == [FILES[3]]
    assert state(tmp_path / "photos") == before


def test_a_folder_among_the_originals_is_refused(tmp_path, pool):
    with pytest.raises(UsageError, match="choose another --out"):
        exported(pool, tmp_path / "photos" / "small")
    with pytest.raises(UsageError, match="choose another --out"):
        check_out(pool, tmp_path / "photos" / "train" / ".." / "new", "copy", path_of)
    with pytest.raises(UsageError, match="--as is one of copy, symlink, hardlink, list, not 'move'"):
        check_out(pool, tmp_path / "small", "move", path_of)


def test_no_room_is_found_before_anything_is_written(tmp_path, pool, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 0, 2 * 4096 - 1))
    with pytest.raises(
        DecoctError, match=r"2 images take 8\.19 kB, and the disk of .* has 8\.19 kB left\nuse --as symlink"
    ):
        exported(pool, tmp_path / "small")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "pool"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10_000, 0, 2 * 4096))
    exported(pool, tmp_path / "small")


@pytest.mark.parametrize("where", ["copy", "also"])
def test_a_disk_that_fills_meanwhile_leaves_what_was_there(tmp_path, pool, monkeypatch, where):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    exported(pool, tmp_path / "small", kept=np.array([1]))
    before = state(tmp_path / "small")
    if where == "copy":
        monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        exported(pool, tmp_path / "small", force=True, also=full)
    assert state(tmp_path / "small") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "pool", "small"]


def test_a_process_that_is_killed_leaves_no_half_folder_and_its_rest_is_removed(tmp_path, pool):
    script = f"""
        import os, signal, sys
        import numpy as np
        from pathlib import Path
        from decoct.shrinking.written.files import export
        from decoct.shrinking.pool import open_pool
        pool = open_pool(Path({str(tmp_path / "pool")!r}))
        path_of = lambda pool, row: Path(pool.source, pool.paths[row])
        die = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
        export(pool, np.array([0]), Path({str(tmp_path / "small")!r}), "copy", ["x"] * 6, original=None,
               original_path=path_of, also=die)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "small").exists()
    assert len(list(tmp_path.glob(".tmp-*"))) == 1
    exported(pool, tmp_path / "small")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "pool", "small"]


@pytest.mark.parametrize("how", ["copy", "symlink", "hardlink"])
def test_an_original_that_changed_or_went_is_an_error(tmp_path, pool, how):
    with (tmp_path / "photos" / FILES[0]).open("ab") as file:
        file.write(b"more")
    with pytest.raises(DecoctError, match="has changed since it was read"):
        exported(pool, tmp_path / "small", how)
    (tmp_path / "photos" / FILES[0]).unlink()
    with pytest.raises(DecoctError, match="cannot be read any more"):
        exported(pool, tmp_path / "small", how)
    assert not (tmp_path / "small").exists()


def test_originals_that_are_links_are_followed(tmp_path):
    (tmp_path / "blob").write_bytes(b"picture")
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").symlink_to(tmp_path / "blob")
    pool = make_pool(tmp_path / "pool", ["cat/1.png"], [0], ["cat", "dog"], source=tmp_path / "photos")
    for how in ("copy", "symlink", "hardlink"):
        exported(pool, tmp_path / how, how, np.array([0]))
        assert (tmp_path / how / "cat" / "1.png").read_bytes() == b"picture"
    assert not (tmp_path / "copy" / "cat" / "1.png").is_symlink()
    assert (tmp_path / "hardlink" / "cat" / "1.png").stat().st_ino == (tmp_path / "blob").stat().st_ino


def test_what_else_is_written_and_the_problems_are_part_of_it(tmp_path, pool):
    problem = Problem("outlier", (1,), (FILES[1],), ("Bär",), "far away", 2.0)
    also = lambda folder: (folder / "report.html").write_text("page")  # noqa: E731
    exported(pool, tmp_path / "small", problems=[problem], also=also)
    assert (tmp_path / "small" / "report.html").read_text() == "page"
    assert FILES[1] in (tmp_path / "small" / "problems.csv").read_text("utf-8")
    exported(pool, tmp_path / "small", force=True)  # all of it is on the list
    assert not (tmp_path / "small" / "problems.csv").exists()


def test_progress_counts_files(tmp_path, pool):
    steps = []
    exported(pool, tmp_path / "small", progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
