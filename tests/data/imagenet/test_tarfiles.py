"""Tars as strangers send them: truncated, damaged, and with members that lead elsewhere."""

import io
import tarfile

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet import tarfiles

FILES = [("a/1.jpg", b"x" * 700), ("a/2.jpg", b"y" * 512), ("3.jpg", b"")]


def read(path, start=0):
    return [(info.name, load()) for info, load in tarfiles.members(path, start=start)]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_files_come_in_order_with_their_bytes(tmp_path, tar, ending):
    path = tmp_path / f"some{ending}"
    tar(path, FILES)
    assert read(path) == FILES


def test_what_is_not_asked_for_is_not_read(tmp_path, tar):
    tar(tmp_path / "some.tar", FILES)
    assert [info.name for info, _ in tarfiles.members(tmp_path / "some.tar")] == [name for name, _ in FILES]


def test_a_tar_inside_of_a_file_is_read_from_its_place(tmp_path, tar):
    tar(tmp_path / "some.tar", FILES)
    inner = (tmp_path / "some.tar").read_bytes()
    (tmp_path / "outer").write_bytes(b"z" * 1536 + inner + b"garbage")
    assert read(tmp_path / "outer", 1536) == FILES


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_every_truncation_is_told(tmp_path, tar, ending):
    tar(tmp_path / f"whole{ending}", FILES)
    data = (tmp_path / f"whole{ending}").read_bytes()
    last = 512 * 6 if ending == ".tar" else len(data) - 1  # after the last member there are only blocks of zeros
    for length in sorted({*range(0, last + 1, 100), *range(0, last + 1, 512), last}):
        cut = tmp_path / f"cut{ending}"
        cut.write_bytes(data[:length])
        with pytest.raises(DecoctError, match=r"cut\.tar.* cannot be read: .*\n.*truncated.*MD5"):
            read(cut)


@pytest.mark.parametrize("place", [512 * 3, 512 * 3 + 148])  # name and checksum of the second member
def test_a_damaged_header_in_the_middle_is_told(tmp_path, tar, place):
    tar(tmp_path / "some.tar", FILES)
    data = bytearray((tmp_path / "some.tar").read_bytes())
    data[place] ^= 1
    (tmp_path / "some.tar").write_bytes(data)
    with pytest.raises(DecoctError, match="cannot be read"):
        read(tmp_path / "some.tar")


@pytest.mark.parametrize("name", ["/etc/passwd.jpg", "../up.jpg", "a/../../up.jpg", "a\\..\\..\\up.jpg"])
def test_names_that_lead_out_are_refused(tmp_path, tar, name):
    tar(tmp_path / "some.tar", [*FILES, (name, b"x")])
    with pytest.raises(DecoctError, match="leads out of the archive"):
        read(tmp_path / "some.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["some.tar"]


@pytest.mark.parametrize(
    ("kind", "word"), [(tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.FIFOTYPE, "no file")]
)
def test_links_and_devices_are_refused(tmp_path, kind, word):
    with tarfile.open(tmp_path / "some.tar", "w") as made:
        info = tarfile.TarInfo("n01440764_1.JPEG")
        info.type, info.linkname = kind, "/etc/passwd"
        made.addfile(info)
    with pytest.raises(DecoctError, match=f"'n01440764_1.JPEG' is {word}"):
        read(tmp_path / "some.tar")


def test_folders_and_hidden_files_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "some.tar", "w") as made:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
        for name in ("a/._1.jpg", "a/1.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 1
            made.addfile(info, io.BytesIO(b"x"))
    assert read(tmp_path / "some.tar") == [("a/1.jpg", b"x")]


def test_a_member_that_claims_to_be_huge_is_refused_unread(tmp_path):
    info = tarfile.TarInfo("1.jpg")
    info.size = 2**33
    (tmp_path / "some.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(DecoctError, match="8,589,934,592 bytes, more than any picture"):
        read(tmp_path / "some.tar")
