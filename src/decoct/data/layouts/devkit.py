"""Which class each picture of val is of: by ImageNet's development kit, or by Kaggle's solution."""

import csv
import io
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.layouts import tarfiles

ARCHIVE, FOLDER = "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12"
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
KAGGLE, SOLUTION = Path("ILSVRC", "Data", "CLS-LOC"), "LOC_val_solution.csv"  # as Kaggle's competition packs it


def sources(root: Path) -> list[Path]:
    """The files that say it: the kit's archive, or its two files unpacked; above Kaggle's folder, the solution.

    Raises:
        DecoctError: there is none.
    """
    if root.parts[-3:] == KAGGLE.parts and (root.parents[2] / SOLUTION).is_file():
        return [root.parents[2] / SOLUTION]
    if (root / ARCHIVE).is_file():
        return [root / ARCHIVE]
    for folder in (root / FOLDER, root):
        if (folder / META).is_file() and (folder / TRUTH).is_file():
            return [folder / META, folder / TRUTH]
    raise DecoctError(
        f"the pictures of val in {root} carry no class, and the kit that says it is missing\n"
        f"put {ARCHIVE} (2.5 MB, from image-net.org as the pictures are) beside them, or sort val into folders"
    )


def val_wnids(root: Path) -> list[str]:
    """WordNet id of each picture of val, in the order of their numbers, ILSVRC2012_val_00000001 first.

    Raises:
        DecoctError: no kit, or one that is damaged.
    """
    found = sources(root)
    if found[0].name == SOLUTION:
        return _solved(found[0])
    meta, truth = _unpacked(found[0]) if len(found) == 1 else (found[0].read_bytes(), found[1].read_bytes())
    ids = _wnids(meta, found[0])
    try:
        return [ids[int(line)] for line in truth.decode().split()]
    except (ValueError, KeyError) as error:
        raise DecoctError(f"{TRUTH} of {found[-1]} holds no ILSVRC2012 ids of classes: {error}") from error


def _solved(file: Path) -> list[str]:
    """By Kaggle's rows of name and "WNID x y x y …", in no order."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            found = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)}
        return [found[f"ILSVRC2012_val_{number:08d}"] for number in range(1, len(found) + 1)]
    except (OSError, ValueError, KeyError, IndexError, AttributeError, csv.Error) as error:
        raise DecoctError(f"{file} does not say the class of each picture of val ({error}): get it again") from error


def _unpacked(archive: Path) -> tuple[bytes, bytes]:
    """Both files out of the archive, read into memory."""
    wanted, found = (META, TRUTH), dict[str, bytes]()
    with tarfiles.opened(archive) as file:
        for info, load in tarfiles.members(file, str(archive), compressed=True):
            for name in wanted:
                if info.name.endswith(f"/{name}") or info.name == name:
                    found[name] = load()
    if missing := [name for name in wanted if name not in found]:
        raise DecoctError(f"{archive} lacks {missing[0]}: it is not the kit of ILSVRC2012, or not whole; get it again")
    return found[META], found[TRUTH]


def _wnids(meta: bytes, where: Path) -> dict[int, str]:
    """WordNet ids by ILSVRC2012 id. The numbers follow no order of the WordNet ids; inner nodes have children."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        rows = [(row["ILSVRC2012_ID"], row["WNID"], row["num_children"]) for row in synsets]
        return {int(number): str(wnid) for number, wnid, children in rows if int(children) == 0}
    except Exception as error:  # scipy raises whatever its parser stumbled on
        raise DecoctError(f"{META} of {where} cannot be read: {error}: get the kit again") from error
