"""The development kit: ids that follow no order of WordNet ids, packed and unpacked."""

import shutil

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet import wnids
from decoct.data.layouts import devkit

SOME = wnids()[::250]


@pytest.mark.parametrize("packed_up", [True, False])
def test_numbers_of_val_become_wordnet_ids(tmp_path, hang, packed_up):
    museum = hang(SOME, val=3)
    museum.devkit(tmp_path, packed_up)
    truth = devkit.val_wnids(tmp_path)
    assert len(truth) == 12
    for split, wnid, name in museum.pictures:
        if split == "val":
            assert truth[int(name[15:23]) - 1] == wnid


def test_an_unpacked_kit_in_its_own_folder(tmp_path, hang):
    hang(SOME).devkit(tmp_path, packed_up=False)
    (tmp_path / devkit.FOLDER).mkdir()
    shutil.move(tmp_path / "data", tmp_path / devkit.FOLDER / "data")
    assert len(devkit.val_wnids(tmp_path)) == 8


def test_a_missing_kit_is_told(tmp_path):
    with pytest.raises(DecoctError, match=r"kit .* is missing\nput ILSVRC2012_devkit_t12\.tar\.gz .*image-net\.org"):
        devkit.val_wnids(tmp_path)


@pytest.mark.parametrize("name", [devkit.META, devkit.TRUTH])
def test_a_kit_without_one_of_its_files_is_told(tmp_path, tar, name):
    tar(
        tmp_path / devkit.ARCHIVE,
        [(f"ILSVRC2012_devkit_t12/{other}", b"") for other in {devkit.META, devkit.TRUTH} - {name}],
    )
    with pytest.raises(DecoctError, match=f"lacks {name}"):
        devkit.val_wnids(tmp_path)


@pytest.mark.parametrize(
    ("name", "data"), [(devkit.META, b"no mat"), (devkit.TRUTH, b"1\nx\n"), (devkit.TRUTH, b"1001\n")]
)
def test_a_damaged_kit_is_told(tmp_path, hang, name, data):
    hang(SOME).devkit(tmp_path, packed_up=False)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DecoctError, match=name.rpartition("/")[2]):
        devkit.val_wnids(tmp_path)
