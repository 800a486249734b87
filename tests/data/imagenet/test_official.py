"""The tar of tars, the tar of val."""

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet.imagenet import wnids
from decoct.data.imagenet.official import TRAIN_TAR, VAL_TAR, OfficialTars

SOME = wnids()[500:504]


@pytest.fixture
def root(tmp_path, hang):
    return hang(SOME, train=3, val=2).official(tmp_path / "raw")


def found(root, wanted=SOME):
    layout = OfficialTars(root, wnids(), frozenset(wanted))
    pictures = [picture for piece in layout.pieces() for _, picture in layout.pictures(piece)]
    return {(p.split, p.wnid, p.name): p.data for p in pictures}


def test_every_picture_is_found_with_its_class(root, hang):
    museum = hang(SOME, train=3, val=2)
    assert found(root) == museum.pictures
    assert found(root, SOME[:1]) == {key: data for key, data in museum.pictures.items() if key[1] == SOME[0]}


def test_each_class_is_a_piece_and_nothing_is_written(root):
    before = {path: path.read_bytes() for path in root.rglob("*")}
    layout = OfficialTars(root, wnids(), frozenset(SOME))
    assert sorted(str(piece[1]) for piece in layout.pieces() if piece[0] == "train") == sorted(SOME)
    found(root)
    assert {path: path.read_bytes() for path in root.rglob("*")} == before


@pytest.mark.parametrize("name", [TRAIN_TAR, VAL_TAR])
def test_a_missing_archive_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(DecoctError, match=f"lacks {name}"):
        found(root)


@pytest.mark.parametrize("name", [TRAIN_TAR, VAL_TAR])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_archives_are_told(root, name, share):
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: int(share * len(data.rstrip(b"\0")))])  # behind the last member are zeros alone
    with pytest.raises(DecoctError, match=r"cannot be read: .*\nit may be truncated"):
        found(root)


def test_a_class_that_is_there_twice_is_told(root, tar):
    tar(root / TRAIN_TAR, [(f"{SOME[0]}.tar", bytes(10240)), (f"{SOME[0]}.tar", bytes(10240))])
    with pytest.raises(DecoctError, match=f"holds the class {SOME[0]} twice"):
        found(root)


@pytest.mark.parametrize("name", ["n99999999.tar", "tench.tar", "readme.txt"])
def test_what_is_no_tar_of_a_class_is_named(root, tar, name):
    tar(root / TRAIN_TAR, [(name, bytes(10240))])
    with pytest.raises(DecoctError, match=f"holds '{name}', which is not a tar of a class"):
        found(root)


def test_an_inner_tar_that_lies_about_its_length_does_not_run_into_the_next(root, tar):
    """Its own end is cut off, so that the header of the next class follows."""
    inner = tar_of(tar, root, f"{SOME[0]}_1.JPEG", b"x" * 512)
    tar(root / TRAIN_TAR, [(f"{SOME[0]}.tar", inner[:1024]), (f"{SOME[1]}.tar", inner)])
    with pytest.raises(DecoctError, match=f"{SOME[0]}.tar in .* has data after its end"):
        found(root, SOME[:1])


def tar_of(tar, root, name, data):
    tar(root / "inner", [(name, data)])
    return (root / "inner").read_bytes()
