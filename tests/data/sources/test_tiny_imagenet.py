"""Tiny ImageNet in small: folder and zip, class order, and releases that are not whole."""

import io
import shutil
import zipfile

import pytest
from PIL import Image

from decoct.core.errors import DecoctError
from decoct.data.dataset import load_data
from decoct.data.sources import tiny_imagenet as module
from decoct.data.sources.tiny_imagenet import TinyImageNet

ORDER = ("n01443537", "n02124075", "n04067472")  # sorted; the table has another order
WORDS = "n04067472\treel\nn01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\nn00001740\tentity\n"
TRAIN, VAL = 6, 2


def jpeg(label: int, number: int) -> bytes:
    """A plain picture whose red says its class, and whose green which it is."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (80 * label, 10 * number, 200)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyImageNet, "classes", len(ORDER))
    monkeypatch.setattr(TinyImageNet, "per_class", {"train": TRAIN, "test": VAL})
    root = tmp_path / "x" / "tiny-imagenet-200"
    for label, wnid in enumerate(ORDER):
        (root / "train" / wnid / "images").mkdir(parents=True)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
        for number in range(TRAIN):
            (root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG").write_bytes(jpeg(label, number))
    for split in ("val", "test"):
        (root / split / "images").mkdir(parents=True)
    lines = []
    for number in range(VAL * len(ORDER)):
        label = (number + 1) % len(ORDER)
        (root / "val" / "images" / f"val_{number}.JPEG").write_bytes(jpeg(label, 20 - number))
        (root / "test" / "images" / f"test_{number}.JPEG").write_bytes(b"never read")
        lines.append(f"val_{number}.JPEG\t{ORDER[label]}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join((ORDER[1], ORDER[2], ORDER[0])))
    (root / "words.txt").write_text(WORDS)
    return root


def packed(root, target, prefix="tiny-imagenet-200/"):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, prefix + path.relative_to(root).as_posix())
    return target


def test_classes_are_sorted_wnids_and_val_is_test(tiny, tmp_path):
    data = load_data(f"tiny_imagenet:{tiny}", tmp_path / "cache")
    assert data.class_names == ORDER
    assert [data.counts(split) for split in ("train", "val", "test")] == [[5] * 3, [1] * 3, [2] * 3]
    assert data.shape == (3, 64, 64) and data.name == "tiny_imagenet"
    for split in (data.train, data.val, data.test):
        for image, label, file in zip(split.images, split.labels, split.files, strict=True):
            assert abs(int(image[0, 32, 32]) - 80 * label) < 8
            number = int(file.rpartition("_")[2].removesuffix(".JPEG"))
            assert abs(int(image[1, 32, 32]) - 10 * (20 - number if file.startswith("val/") else number)) < 8


def test_all_layouts_are_the_same_data(tiny, tmp_path):
    archive = packed(tiny, tmp_path / "tiny-imagenet-200.zip")
    bare = packed(tiny, tmp_path / "bare.zip", "")
    places = (tiny, tiny.parent, archive, tmp_path, bare)
    assert len({load_data(TinyImageNet(path=place), tmp_path / "cache").digest for place in places}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.zip", "cache", "tiny-imagenet-200.zip", "x"]


def test_english_names(tiny, tmp_path):
    data = load_data(TinyImageNet(path=tiny, names="english"), tmp_path / "cache")
    assert data.class_names == ("goldfish, Carassius auratus", "Egyptian cat", "reel")
    assert data.digest != load_data(TinyImageNet(path=tiny), tmp_path / "cache").digest
    (tiny / "words.txt").write_text(WORDS.replace("reel", "Egyptian cat"))
    with pytest.raises(DecoctError, match="two classes are called 'Egyptian cat'"):
        load_data(TinyImageNet(path=tiny, names="english"), tmp_path / "cache")
    (tiny / "words.txt").write_text(WORDS.replace("n04067472", "n04067473"))
    with pytest.raises(DecoctError, match="no name for n04067472"):
        load_data(TinyImageNet(path=tiny, names="english"), tmp_path / "cache")


def test_heads_of_imagenet_can_be_cut_by_either_kind_of_name(tiny, tmp_path):
    classes = pytest.importorskip("decoct.nets.imagenet_classes")
    for kind in ("wnid", "english"):
        names = load_data(TinyImageNet(path=tiny, names=kind), tmp_path / "cache").class_names
        assert classes.rows(names) == [1, 285, 758]  # ImageNet-1K's goldfish, Egyptian cat, reel


def break_val(tiny):
    (tiny / "val" / "val_annotations.txt").unlink()


def annotate(old, new):
    def change(tiny):
        path = tiny / "val" / "val_annotations.txt"
        path.write_text(path.read_text().replace(old, new, 1))

    return change


def list_twice(tiny):
    with (tiny / "wnids.txt").open("a") as file:
        file.write(f"\n{ORDER[0]}\n")


def lose_one(tiny):
    (tiny / "train" / ORDER[1] / "images" / f"{ORDER[1]}_4.JPEG").unlink()


def unlisted(tiny):
    shutil.copy(tiny / "val" / "images" / "val_0.JPEG", tiny / "val" / "images" / "val_77.JPEG")


def another_class(tiny):
    shutil.copytree(tiny / "train" / ORDER[0], tiny / "train" / "n00000001")


def list_more(tiny):
    with (tiny / "wnids.txt").open("a") as file:
        file.write("\nn09999999\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_val, r"has no val/val_annotations\.txt: unpack the release again"),
        (annotate("n02124075", "n09999999"), r"the class 'n09999999', which wnids\.txt lacks"),
        (annotate("\tn02124075", ""), r"the class '0', which wnids\.txt lacks"),
        (annotate("val_1.JPEG", "val_0.JPEG"), r"val/images/val_0\.JPEG .*lists it twice"),
        (annotate("val_1.JPEG", "../../secret.JPEG"), r"val has no such picture"),
        (annotate("val_1.JPEG", "val_99.JPEG"), r"val_99\.JPEG .*val has no such picture"),
        (unlisted, r"no class of .*val_77"),
        (list_twice, "names n01443537 twice"),
        (list_more, r"n09999999 is not a folder of train, but in wnids\.txt"),
        (another_class, "n00000001 is a folder of"),
        (lose_one, "n02124075 has 5 train images, not 6"),
        (lambda tiny: (tiny / "wnids.txt").write_bytes(b"\xff\xfe"), r"cannot read .*wnids\.txt: 'utf-8'"),
        (lambda tiny: shutil.rmtree(tiny / "train"), r"n01443537 is not a folder of train"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_releases_that_are_not_whole(tiny, tmp_path, change, message, zipped):
    change(tiny)
    place = packed(tiny, tmp_path / "some.zip") if zipped else tiny
    with pytest.raises(DecoctError, match=message):
        load_data(TinyImageNet(path=place), tmp_path / "cache")


def test_fewer_classes_than_two_hundred(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(TinyImageNet, "classes", 200)
    with pytest.raises(DecoctError, match="names 3 classes, not 200"):
        load_data(TinyImageNet(path=tiny), tmp_path / "cache")


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_that_do_not_decode(tiny, tmp_path, zipped):
    bad = f"train/{ORDER[0]}/images/{ORDER[0]}_2.JPEG"
    (tiny / bad).write_bytes(b"\xff\xd8\xff")
    place = packed(tiny, tmp_path / "some.zip") if zipped else tiny
    with pytest.raises(DecoctError, match=rf"1 of 24 images .*{bad}.*\n.*skip_corrupt"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")
    data = load_data(TinyImageNet(path=place, skip_corrupt=True), tmp_path / "cache")
    assert data.skipped == (bad,) and len(data.train) + len(data.val) == 17


def test_a_zip_bomb_is_not_unpacked(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PICTURE_BYTES", 2**16)
    bad = f"train/{ORDER[0]}/images/{ORDER[0]}_2.JPEG"
    (tiny / bad).write_bytes(b"\0" * 2**22)
    place = packed(tiny, tmp_path / "some.zip")
    assert place.stat().st_size < 2**16
    with pytest.raises(DecoctError, match=r"1 of 24 images .*\(more than 65,536 bytes\)"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")
    monkeypatch.setattr(module, "TABLE_BYTES", 10)
    with pytest.raises(DecoctError, match=r"cannot read .*wnids\.txt: more than 10 bytes"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")


def test_members_that_point_outside_write_nothing(tiny, tmp_path):
    place = packed(tiny, tmp_path / "some.zip")
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr("../evil.JPEG", jpeg(0, 0))
        archive.writestr("/tmp/decoct-evil.JPEG", jpeg(0, 0))
        archive.writestr(f"tiny-imagenet-200/train/{ORDER[0]}/images/../../../evil.JPEG", jpeg(0, 0))
    assert len(load_data(TinyImageNet(path=place), tmp_path / "cache").test) == 6
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(tiny, tmp_path):
    place = packed(tiny, tmp_path / "some.zip")
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", "n01443537")
    with pytest.raises(DecoctError, match=r"holds tiny-imagenet-200/wnids\.txt twice"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")


def test_damaged_zips(tiny, tmp_path):
    place = packed(tiny, tmp_path / "some.zip")
    data = place.read_bytes()
    place.write_bytes(data[: len(data) // 2])
    with pytest.raises(DecoctError, match="it is not a zip, or is damaged"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")
    flipped = bytearray(data)
    start = data.index(b"tiny-imagenet-200/wnids.txt") + len("tiny-imagenet-200/wnids.txt")
    flipped[start + 3] ^= 0xFF
    place.write_bytes(flipped)
    with pytest.raises(DecoctError, match=r"cannot read .*wnids\.txt"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")
    named = bytearray(data)
    entry = data.rindex(b"PK\1\2")
    named[entry + 8 : entry + 10] = b"\0\x08"  # the name is said to be UTF-8
    named[entry + 46] = 0x80
    place.write_bytes(named)
    with pytest.raises(DecoctError, match="it is not a zip, or is damaged"):
        load_data(TinyImageNet(path=place), tmp_path / "cache")


def test_nothing_there(tmp_path):
    with pytest.raises(DecoctError, match=r"no Tiny ImageNet in .*: give path = the folder tiny-imagenet-200"):
        load_data(TinyImageNet(path=tmp_path), tmp_path / "cache")
