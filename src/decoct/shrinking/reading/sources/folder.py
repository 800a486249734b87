"""Class folders: ``PATH/CLASS/…`` or ``PATH/{train,val,test}/CLASS/…``."""

from pathlib import Path

import numpy as np

from decoct.core.errors import DecoctError
from decoct.data.reading.tree import Walk, split_folders, subfolders
from decoct.shrinking.reading.sources.listing import SPLITS, Listing, by_name, check_classes, said, state_of


def listing(source: str, root: Path) -> Listing:
    """The pictures of a tree. Links to other class folders are not followed, with a warning (``Walk``).

    Raises:
        DecoctError: no class folders, or classes that do not match.
    """
    parts = {name: root / name for name in split_folders(root)} or {"train": root}
    folders = {split: subfolders(part) for split, part in parts.items()}
    if empty := [split for split, names in folders.items() if not names]:
        raise DecoctError(
            f"{parts[empty[0]]} holds no class folders: put the pictures of each class in a folder of its own"
        )
    walk = Walk(root, (parts[split] / name for split, names in folders.items() for name in names))
    paths: list[str] = []
    names: list[str] = []
    splits: list[int] = []
    for split, part in parts.items():
        for name in folders[split]:
            files = walk.pictures(part / name)
            paths += files
            names += [name] * len(files)
            splits += [SPLITS[split]] * len(files)
    walk.tell()
    class_names, labels = by_name(names, (name for each in folders.values() for name in each))
    split_of = np.array(splits, dtype=np.int8)
    check_classes(class_names, labels, split_of, str(root))
    base = said(root)
    return Listing(
        source,
        class_names,
        labels,
        split_of,
        paths,
        lambda row: f"{base}/{paths[row]}",
        state_of((f"{base}/{path}" for path in paths), *class_names),
        {"kind": "folder", "root": base},
    )
