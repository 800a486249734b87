"""The development kit: ids that follow no order of WordNet ids, packed and unpacked."""

import shutil

import pytest

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.imagenet import official
from decoct.data.imagenet.imagenet import wnids
from decoct.data.sources.imagenette import WNIDS, Imagenette

SOME = wnids()[::250]


@pytest.mark.parametrize("packed_up", [True, False])
def test_numbers_of_val_become_wordnet_ids(tmp_path, hang, packed_up):
    museum = hang(SOME, val=3)
    museum.devkit(tmp_path, packed_up)
    truth = official.val_wnids(tmp_path)
    assert len(truth) == 12
    for split, wnid, name in museum.pictures:
        if split == "val":
            assert truth[int(name[15:23]) - 1] == wnid


def test_an_unpacked_kit_in_its_own_folder(tmp_path, hang):
    hang(SOME).devkit(tmp_path, packed_up=False)
    (tmp_path / official.FOLDER).mkdir()
    shutil.move(tmp_path / "data", tmp_path / official.FOLDER / "data")
    assert len(official.val_wnids(tmp_path)) == 8


def test_a_missing_kit_is_told(tmp_path):
    with pytest.raises(DecoctError, match=r"kit .* is missing\nput ILSVRC2012_devkit_t12\.tar\.gz .*image-net\.org"):
        official.val_wnids(tmp_path)


@pytest.mark.parametrize("name", [official.META, official.TRUTH])
def test_a_kit_without_one_of_its_files_is_told(tmp_path, tar, name):
    tar(
        tmp_path / official.ARCHIVE,
        [(f"ILSVRC2012_devkit_t12/{other}", b"") for other in {official.META, official.TRUTH} - {name}],
    )
    with pytest.raises(DecoctError, match=f"lacks {name}"):
        official.val_wnids(tmp_path)


@pytest.mark.parametrize(
    ("name", "data"), [(official.META, b"no mat"), (official.TRUTH, b"1\nx\n"), (official.TRUTH, b"1001\n")]
)
def test_a_damaged_kit_is_told(tmp_path, hang, name, data):
    hang(SOME).devkit(tmp_path, packed_up=False)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DecoctError, match=name.rpartition("/")[2]):
        official.val_wnids(tmp_path)


def kaggle(museum, root):
    """As the competition packs it: a flat val, whose classes are in a table."""
    museum.folders(root / official.KAGGLE)
    val = root / official.KAGGLE / "val"
    rows = [(file.stem, file.parent.name) for file in val.glob("*/*")]
    for file in list(val.glob("*/*")):
        file.rename(val / file.name)
    for folder in val.iterdir():
        if folder.is_dir():
            folder.rmdir()
    lines = [f"{name},{wnid} 1 2 3 4 {wnid} 5 6 7 8 " for name, wnid in reversed(rows)]
    (root / official.SOLUTION).write_text("\n".join(["ImageId,PredictionString", *lines]))
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
    (root / official.SOLUTION).write_text(text)
    with pytest.raises(DecoctError, match=r"does not say the class of each picture of val|which the kit knows"):
        load_data(Imagenette(path=str(root), size=16), tmp_path / "cache", workers=1)


@pytest.mark.parametrize("name", ["ILSVRC2012_val_00000000.JPEG", "ILSVRC2012_val_00000003.JPEG", "n01440764_1.JPEG"])
def test_names_that_the_kit_does_not_know_are_told(name):
    assert official.numbered("val/ILSVRC2012_val_00000002.JPEG", ["a", "b"]) == "b"
    with pytest.raises(DecoctError, match=f"{name} is not one of ILSVRC2012_val_00000001 to 00000002"):
        official.numbered(name, ["a", "b"])
