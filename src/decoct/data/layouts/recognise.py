"""Which layout a folder has, by what is in it."""

from collections.abc import Iterable
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.layouts.class_folders import ClassFolders, is_class_folders
from decoct.data.layouts.devkit import KAGGLE
from decoct.data.layouts.folder_archive import ENDINGS, FolderArchive
from decoct.data.layouts.layout import Layout
from decoct.data.layouts.official_tars import TRAIN_TAR, VAL_TAR, OfficialTars
from decoct.data.layouts.parquet import SHARDS, Parquet, is_parquet, shards
from decoct.data.layouts.webdataset import WebDataset, is_webdataset
from decoct.data.reading.snapshot import HUB, snapshot
from decoct.data.reading.tree import entries

SHOWN = 6  # entries of a folder that a message names
EXPECTED = (
    f"expected: train/ and val/ with class folders; {TRAIN_TAR} and {VAL_TAR}; "
    "train-*.parquet and validation-*.parquet; …-train-0000.tar and …-val-0000.tar; or an archive of class folders"
)


def recognise(path: str, order: tuple[str, ...], wanted: Iterable[str]) -> Layout:
    """The layout of what lies at a path.

    Args:
        path: a folder, an archive, or "hub:OWNER/NAME".
        order: WordNet ids in the order of integer labels.
        wanted: the classes that are read.

    Raises:
        DecoctError: there is nothing, or nothing that is known; it says what was found and what was expected.
    """
    root = snapshot(path, SHARDS, shards) if path.startswith(HUB) else Path(path).expanduser()
    rest = order, frozenset(wanted)
    if root.is_file():
        if root.name in (TRAIN_TAR, VAL_TAR):
            return OfficialTars(root.parent, *rest)
        if root.name.endswith(ENDINGS):
            return FolderArchive(root, *rest)
        raise DecoctError(f"{root} is a file that is no archive (.tgz, .tar.gz, .tar)\n{EXPECTED}")
    if not root.is_dir():
        raise DecoctError(f"no such folder: {root}")
    if (root / KAGGLE).is_dir():
        root /= KAGGLE
    if (root / TRAIN_TAR).exists() or (root / VAL_TAR).exists():
        return OfficialTars(root, *rest)
    if is_class_folders(root):
        return ClassFolders(root, *rest)
    if is_parquet(root):
        return Parquet(root, *rest)
    if is_webdataset(root):
        return WebDataset(root, *rest)
    names = [entry.name + "/" * Path(entry).is_dir() for entry in entries(root)]
    archives = [name for name in names if name.endswith(ENDINGS)]
    if len(archives) == 1:
        return FolderArchive(root / archives[0], *rest)
    found = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    raise DecoctError(f"{root} has none of the layouts of ImageNet\nfound: {found or 'nothing'}\n{EXPECTED}")
