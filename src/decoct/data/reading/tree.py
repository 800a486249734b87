"""Class folders on disk: which pictures there are, of which class and split."""

import os
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.reading.decode import extensions

SPLITS = ("train", "val", "test")
Tree = dict[str, dict[str, list[str]]]


def scan(root: Path) -> Tree:
    """List the picture files under ``root/CLASS/…`` or ``root/{train,val,test}/CLASS/…``.

    Hidden entries and files without a picture's extension are passed over; folders within a class belong to the class.

    Returns:
        files by split ("all" where the tree has no splits) and class, relative to ``root``, everything sorted.

    Raises:
        DecoctError: unreadable, no class folders, one class, an empty class, or splits whose classes differ.
    """
    if not root.is_dir():
        raise DecoctError(f"{root} is not a folder" if root.exists() else f"no such folder: {root}")
    splits = split_folders(root)
    tree = {name: classes(root, root / name) for name in splits} if splits else {"all": classes(root, root)}
    first, *others = tree
    for other in others:
        if differing := sorted(set(tree[first]) ^ set(tree[other])):
            raise DecoctError(f"{root}: class '{differing[0]}' is in one of {first}/ and {other}/ only; both need it")
    return tree


def split_folders(root: Path) -> list[str]:
    """Which of train, val and test hold class folders; empty where the folders of ``root`` are the classes.

    A tree has splits if it has ``train`` with folders in it and nothing but splits beside it, so that a class may be
    called "train".
    """
    folders = subfolders(root)
    found = [name for name in SPLITS if name in folders and subfolders(root / name)]
    if "train" not in found or (found == ["train"] and len(folders) > 1):
        return []
    if other := [name for name in folders if name not in found]:
        raise DecoctError(
            f"{root} holds {', '.join(found)} and also '{other[0]}'\n"
            "a folder with splits may hold class folders under train, val and test, and nothing else"
        )
    return found


def classes(root: Path, folder: Path, sparse: bool = False) -> dict[str, list[str]]:
    """Picture files by class folder of ``folder``; ``sparse`` ones may be empty, but not all of them."""
    names = subfolders(folder)
    if not names:
        raise DecoctError(f"{folder} holds no class folders: put the pictures of each class in a folder of its own")
    if len(names) == 1:
        raise DecoctError(f"{folder} holds only one class, '{names[0]}': at least two are needed")
    found = {name: sorted(pictures(root, folder / name, set())) for name in names}
    empty = [name for name, files in found.items() if not files]
    if empty and not (sparse and len(empty) < len(found)):
        raise DecoctError(f"class '{empty[0]}' in {folder} has no pictures: add some or remove the folder")
    return found


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder that are not hidden, sorted."""
    return sorted(entry.name for entry in entries(folder) if Path(entry).is_dir())


def pictures(root: Path, folder: Path, seen: set[tuple[int, int]]) -> list[str]:
    """Files with a picture's extension in a folder and below; a folder that links lead to again is passed over."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return []
    seen.add((status.st_dev, status.st_ino))
    found = []
    for entry in entries(folder):
        path = folder / entry.name
        if path.is_dir():
            found += pictures(root, path, seen)
        elif path.suffix.lower() in extensions():
            found.append(path.relative_to(root).as_posix())
    return found


def entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What is in a folder, hidden entries aside, sorted by name.

    Raises:
        DecoctError: the folder cannot be read, or a name in it is not valid UTF-8.
    """
    try:
        with os.scandir(folder) as found:
            listed = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DecoctError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    for entry in listed:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise DecoctError(f"{os.fsencode(entry.path)!r} has a name that is not UTF-8: rename it") from None
    return listed
