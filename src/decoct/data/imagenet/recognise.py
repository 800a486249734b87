"""Recognises the layout of a folder by its content."""

from collections.abc import Iterable
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.imagenet.class_folders import ENDINGS, ClassFolders, FolderArchive, is_class_folders
from decoct.data.imagenet.layout import Layout
from decoct.data.imagenet.official import KAGGLE, TRAIN_TAR, VAL_TAR, OfficialTars
from decoct.data.imagenet.shards import ON_THE_HUB, Parquet, WebDataset, by_split
from decoct.data.reading.snapshot import HUB, snapshot
from decoct.data.reading.tree import entries

SHOWN = 6  # entries of a folder that a message names
EXPECTED = (
    f"expected: train/ and val/ with class folders; {TRAIN_TAR} and {VAL_TAR}; "
    "train-*.parquet and validation-*.parquet; …-train-0000.tar and …-val-0000.tar; or an archive of class folders"
)


def recognise(path: str, order: tuple[str, ...], wanted: Iterable[str]) -> Layout:
    """The layout of what lies at a path.

    Raises:
        DecoctError: there is nothing, or nothing that is known; it says what was found and what was expected.
    """
    root = Path(path).expanduser()
    if path.startswith(HUB):
        root = snapshot(path, ON_THE_HUB, lambda folder: by_split(Parquet.listed(folder)))
    rest = order, frozenset(wanted)
    if root.is_file():
        if root.name in (TRAIN_TAR, VAL_TAR):
            return OfficialTars(root.parent, *rest)
        if root.name.endswith(ENDINGS):
            return FolderArchive(root, *rest)
        raise DecoctError(f"{root} is a file that is not an archive (.tgz, .tar.gz, .tar)\n{EXPECTED}")
    if not root.is_dir():
        raise DecoctError(f"no such folder: {root}")
    if (root / KAGGLE).is_dir():
        root /= KAGGLE
    if (root / TRAIN_TAR).exists() or (root / VAL_TAR).exists():
        return OfficialTars(root, *rest)
    if is_class_folders(root):
        return ClassFolders(root, *rest)
    for layout in (Parquet, WebDataset):
        if layout.among(root):
            return layout(root, *rest)
    names = [entry.name + "/" * Path(entry).is_dir() for entry in entries(root)]
    archives = [name for name in names if name.endswith(ENDINGS)]
    if len(archives) == 1:
        return FolderArchive(root / archives[0], *rest)
    some = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    raise DecoctError(f"{root} has none of the layouts of ImageNet\nfound: {some or 'nothing'}\n{EXPECTED}")
