"""Fixed sets of files in folders and tars: found, read in memory, and nothing written anywhere."""

import gzip
import io
import random
import tarfile

import pytest

from decoct.core.errors import DecoctError
from decoct.data.sources._shared import cifar as module
from decoct.data.sources._shared.cifar import Found, Release, contents, lacking, look

SET = Release("binary", "set-bin", "set-binary.tar.gz", ("one.bin", "two.bin"), "test.bin")
OTHER = Release("python", "set-py", "set-python.tar.gz", ("one", "two"), "test")
FILES = {"one.bin": b"1", "two.bin": b"22", "test.bin": b"333"}


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    return info, data


def tar(path, *members, packed=True):
    with tarfile.open(path, "w:gz" if packed else "w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return path


def whole(prefix="set-bin/"):
    return [member(prefix + name, data) for name, data in FILES.items()]


def lay(folder):
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)


def test_where_a_release_is_found(tmp_path):
    assert look(tmp_path, (SET, OTHER)) is None
    lay(tmp_path / "a" / "set-bin")
    for place in (tmp_path / "a", tmp_path / "a" / "set-bin"):
        assert look(place, (OTHER, SET)) == Found(SET, tmp_path / "a" / "set-bin")
    archive = tar(tmp_path / "set-binary.tar.gz", *whole())
    for place in (tmp_path, archive):
        assert look(place, (OTHER, SET)) == Found(SET, archive)
    renamed = archive.rename(tmp_path / "another name")
    assert look(renamed, (OTHER, SET)) == Found(SET, renamed)


@pytest.mark.parametrize("packed", [True, False])
def test_a_tar_reads_as_its_folder(tmp_path, packed):
    lay(tmp_path / "set-bin")
    archive = tar(tmp_path / "x.tar", member("set-bin/readme.html"), *whole(), packed=packed)
    for path in (tmp_path / "set-bin", archive):
        assert dict(contents(Found(SET, path))) == FILES


def test_what_is_missing_is_named(tmp_path):
    lay(tmp_path / "set-bin")
    (tmp_path / "set-bin" / "two.bin").unlink()
    assert look(tmp_path, (SET,)) is None
    assert lacking(tmp_path, (OTHER, SET)) == f": {tmp_path / 'set-bin'} has no two.bin"
    archive = tar(tmp_path / "x.tar", *whole()[::2])
    with pytest.raises(DecoctError, match=r"has no two\.bin"):
        dict(contents(Found(SET, archive)))


@pytest.mark.parametrize(
    "prefix", ["../", "/tmp/", "set-bin/../", "set-bin/deep/", "elsewhere/set-bin/", "./../set-bin/"]
)
def test_members_that_point_outside_are_not_the_sets_and_write_nothing(tmp_path, prefix):
    (tmp_path / "box").mkdir()
    archive = tar(tmp_path / "box" / "x.tar", *whole(prefix))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DecoctError, match=r"has no one\.bin, two\.bin, test\.bin"):
        dict(contents(Found(SET, archive)))
    assert sorted(tmp_path.rglob("*")) == before
    fine = tar(tmp_path / "y.tar", *whole(prefix), *whole())
    assert dict(contents(Found(SET, fine))) == FILES


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_members_that_are_no_regular_files(tmp_path, kind):
    (tmp_path / "secret").write_bytes(b"secret")
    archive = tar(tmp_path / "x.tar", member("set-bin/one.bin", b"", kind, str(tmp_path / "secret")), *whole()[1:])
    with pytest.raises(DecoctError, match=r"one\.bin is not a regular file"):
        dict(contents(Found(SET, archive)))


def test_a_file_that_is_there_twice(tmp_path):
    archive = tar(tmp_path / "x.tar", *whole(), member("set-bin/one.bin", b"other"))
    with pytest.raises(DecoctError, match=r"holds set-bin/one\.bin twice"):
        dict(contents(Found(SET, archive)))


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 2**20)
    large = b"\0" * 2**21
    for members in ([member("set-bin/one.bin", large)], [member("unrelated", large), *whole()]):
        archive = tar(tmp_path / "x.tar", *members)
        assert archive.stat().st_size < 2**14
        with pytest.raises(DecoctError, match="holds more than 1 MiB"):
            dict(contents(Found(SET, archive)))
    lay(tmp_path / "set-bin")
    (tmp_path / "set-bin" / "two.bin").write_bytes(large)
    with pytest.raises(DecoctError, match=r"two\.bin holds more than 1 MiB"):
        dict(contents(Found(SET, tmp_path / "set-bin")))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_tars(tmp_path, share):
    path = tar(tmp_path / "x.tar", *whole(), member("set-bin/noise", random.Random(0).randbytes(10_000)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DecoctError, match="damaged: download it again"):
        dict(contents(Found(SET, path)))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8bhello", gzip.compress(b"hello", mtime=0)])
def test_what_is_no_tar(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(DecoctError, match="not a tar, or is damaged"):
        look(tmp_path / "x.tar", (SET,))


def test_a_tar_of_something_else(tmp_path):
    assert look(tar(tmp_path / "x.tar", *whole("other/")), (SET, OTHER)) is None


def test_a_file_may_be_as_large_as_any_of_a_release(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 3)
    lay(tmp_path / "set-bin")
    found = Found(SET, tmp_path / "set-bin")
    assert dict(contents(found)) == FILES
    monkeypatch.setattr(module, "MOST_BYTES", 2)
    with pytest.raises(DecoctError, match=r"test\.bin holds more than"):
        list(contents(found))
