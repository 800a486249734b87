"""Equal files in two class folders: a picture with two labels."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path


class TwoLabels(UserWarning):
    """The same file stands under two classes."""


def tell_two_labels(root: Path, splits: Iterable[Mapping[str, Mapping[str, str]]]) -> None:
    """Warn of pictures that stand under more than one class, byte for byte; in one split or in several.

    Args:
        root: that the files are relative to.
        splits: of each, class -> file -> digest.
    """
    first: dict[str, tuple[str, str]] = {}
    twins: dict[str, str] = {}
    for classes in splits:
        for name, files in classes.items():
            for file, digest in files.items():
                kind, other = first.setdefault(digest, (name, file))
                if kind != name:
                    twins.setdefault(digest, f"{other} and {file}")
    if twins:
        stand = "1 picture stands" if len(twins) == 1 else f"{len(twins)} pictures stand"
        such = f"such as {next(iter(twins.values()))}: remove those whose label is wrong"
        warnings.warn(f"in {root}, {stand} under two classes, byte for byte, {such}", TwoLabels, stacklevel=3)
