"""Class folders on disk: which pictures there are, of which class and split."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.data.reading.decode import extensions

SPLITS = ("train", "val", "test")
Tree = dict[str, dict[str, list[str]]]
NAMED = 3  # links, in a warning


class StrayLinks(UserWarning):
    """Links lead from a class folder to others."""


def scan(root: Path) -> Tree:
    """List the picture files under ``root/CLASS/…`` or ``root/{train,val,test}/CLASS/…``.

    Hidden entries and files without a picture's extension are passed over; folders within a class belong to the class.
    Links are followed, but for those that lead to another class folder (``Walk``).

    Returns:
        files by split ("all" where the tree has no splits) and class, relative to ``root``, everything sorted.

    Raises:
        DecoctError: unreadable, no class folders, one class, an empty class, or splits whose classes differ.
    """
    if not root.is_dir():
        raise DecoctError(f"{root} is not a folder" if root.exists() else f"no such folder: {root}")
    parts = {name: root / name for name in split_folders(root)} or {"all": root}
    walk = Walk(root, (part / name for part in parts.values() for name in subfolders(part)))
    tree = {name: classes(root, part, walk=walk) for name, part in parts.items()}
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
    splits = [name for name in SPLITS if name in folders and subfolders(root / name)]
    if "train" not in splits or (splits == ["train"] and len(folders) > 1):
        return []
    if other := [name for name in folders if name not in splits]:
        raise DecoctError(
            f"{root} holds {', '.join(splits)} and also '{other[0]}'\n"
            "a folder with splits may hold class folders under train, val and test, and nothing else"
        )
    return splits


def classes(root: Path, folder: Path, sparse: bool = False, walk: "Walk | None" = None) -> dict[str, list[str]]:
    """Picture files by class folder of ``folder``, relative to ``root``.

    Args:
        root: of the tree.
        folder: that holds the class folders.
        sparse: classes may be empty, but not all of them.
        walk: over class folders of which these are some; None for these alone.
    """
    names = subfolders(folder)
    if not names:
        raise DecoctError(f"{folder} holds no class folders: put the pictures of each class in a folder of its own")
    if len(names) == 1:
        raise DecoctError(f"{folder} holds only one class, '{names[0]}': at least two are needed")
    walk = walk or Walk(root, [folder / name for name in names])
    pictures = {name: walk.pictures(folder / name) for name in names}
    walk.tell()
    empty = [name for name, files in pictures.items() if not files]
    if empty and not (sparse and len(empty) < len(pictures)):
        raise DecoctError(f"class '{empty[0]}' in {folder} has no pictures: add some or remove the folder")
    return pictures


class Walk:
    """A walk through class folders in which no picture gets the label of another class by a link.

    A link is followed wherever it leads, such as to a store of blobs that several trees share, or to a folder on
    another disk, but not into another class folder, nor to a folder that class folders lie in. A class folder itself
    may be a link.

    Args:
        root: of the tree.
        folders: of all classes, in all splits.

    Attributes:
        strays: links that were not followed, relative to ``root``, with where they lead.
    """

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        self.root = root
        self.homes = {folder.resolve() for folder in folders}
        self.above = {parent for home in self.homes for parent in home.parents}
        self.strays: set[str] = set()

    def pictures(self, folder: Path) -> list[str]:
        """Files with a picture's extension in a class folder and below it, relative to the root, sorted."""
        return sorted(self._below(folder, folder.resolve(), set()))

    def tell(self) -> None:
        """Warn of the links that were not followed, once for each."""
        if not self.strays:
            return
        few = ", ".join(sorted(self.strays)[:NAMED]) + (" …" if len(self.strays) > NAMED else "")
        lead = "1 link leads to other class folders and is"
        if len(self.strays) > 1:
            lead = f"{len(self.strays)} links lead to other class folders and are"
        warnings.warn(f"in {self.root}, {lead} left out: {few}", StrayLinks, stacklevel=3)
        self.strays.clear()

    def _below(self, folder: Path, home: Path, seen: set[tuple[int, int]]) -> list[str]:
        """``seen`` are folders that were looked at: one that links lead to again is passed over."""
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        files = []
        for entry in entries(folder):
            path = folder / entry.name
            below = path.is_dir()
            if not below and path.suffix.lower() not in extensions():
                continue
            if entry.is_symlink() and self._strays(target := Path(os.path.realpath(path)), home):
                self.strays.add(f"{path.relative_to(self.root).as_posix()} -> {target}")
            elif below:
                files += self._below(path, home, seen)
            else:
                files.append(path.relative_to(self.root).as_posix())
        return files

    def _strays(self, target: Path, home: Path) -> bool:
        around = {target, *target.parents}
        return home not in around and (target in self.above or not self.homes.isdisjoint(around))


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder that are not hidden, sorted."""
    return sorted(entry.name for entry in entries(folder) if Path(entry).is_dir())


def entries(folder: Path) -> list["os.DirEntry[str]"]:
    """What is in a folder, hidden entries aside, sorted by name.

    Raises:
        DecoctError: the folder cannot be read, or a name in it is not valid UTF-8.
    """
    try:
        with os.scandir(folder) as every:
            listed = sorted((e for e in every if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot read the folder {folder}: {error.strerror or error}") from error
    for entry in listed:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise DecoctError(f"{os.fsencode(entry.path)!r} has a name that is not UTF-8: rename it") from None
    return listed
