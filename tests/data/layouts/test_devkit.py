"""The development kit: ids that follow no order of WordNet ids, packed and unpacked."""

import shutil

import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.large.imagenet import wnids
from decoct.data.layouts import devkit
from decoct.data.sources.imagenette import WNIDS, Imagenette

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


def kaggle(museum, root):
    """As the competition packs it: a flat val, whose classes are in a table."""
    museum.folders(root / devkit.KAGGLE)
    val = root / devkit.KAGGLE / "val"
    rows = [(file.stem, file.parent.name) for file in val.glob("*/*")]
    for file in list(val.glob("*/*")):
        file.rename(val / file.name)
    for folder in val.iterdir():
        if folder.is_dir():
            folder.rmdir()
    lines = [f"{name},{wnid} 1 2 3 4 {wnid} 5 6 7 8 " for name, wnid in reversed(rows)]
    (root / devkit.SOLUTION).write_text("\n".join(["ImageId,PredictionString", *lines]))
    return root


def test_kaggles_folder_gives_what_class_folders_do(tmp_path, hang):
    museum = hang(WNIDS)
    packed, plain = kaggle(museum, tmp_path / "a"), museum.folders(tmp_path / "b")
    one, two = (load_data(Imagenette(path=str(p), size=16), tmp_path / "cache", workers=1) for p in (packed, plain))
    assert one.digest == two.digest
    assert one.test.files == two.test.files


@pytest.mark.parametrize("text", ["", "ImageId\nx\n", "ImageId,PredictionString\nILSVRC2012_val_00000002,n0 1\n"])
def test_a_damaged_table_of_kaggles_is_told(tmp_path, hang, text):
    root = kaggle(hang(WNIDS), tmp_path / "a")
    (root / devkit.SOLUTION).write_text(text)
    with pytest.raises(DecoctError, match=r"does not say the class of each picture of val|which the kit knows"):
        load_data(Imagenette(path=str(root), size=16), tmp_path / "cache", workers=1)
