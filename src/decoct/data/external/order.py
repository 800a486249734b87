"""Which class of the data each label of an external set means: by name if it has names, else by the data's order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.data.imagenet.imagenet import english, wnids

BY_NAME, BY_INDEX = "by name", "by index, taken as the data's order"


def in_order(
    labels: NDArray[Any] | Sequence[str], names: Sequence[str] | None, class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], list[int] | None, str]:
    """Labels in the data's order.

    Args:
        labels: [n] indices, or names.
        names: of the classes in the order of the indices, where the file says so.
        class_names: of the data.

    Returns:
        [n] labels; the data's class of each of the file's columns, where it names its classes; and how it was told.

    Raises:
        DecoctError: other classes, another number of them, or labels that are neither names nor whole numbers.
    """
    if len(labels) == 0:
        raise DecoctError("the set is empty: it holds no label")
    if isinstance(labels[0], str):
        return _named([str(label) for label in labels], class_names)
    numbers = _whole(np.asarray(labels))
    if names is not None:
        place = matched(names, class_names)
        if numbers.min() < 0 or numbers.max() >= len(names):
            raise DecoctError(
                f"labels run from {numbers.min()} to {numbers.max()}; the file names {len(names)} classes"
            )
        return np.array(place, np.int64)[numbers], place, BY_NAME
    kinds = np.unique(numbers)  # bare indices say nothing of the order, so at least all classes must be there
    if kinds.tolist() != list(range(len(class_names))):
        raise DecoctError(
            f"the set's labels are {len(kinds)} numbers from {kinds.min()} to {kinds.max()}, the data have "
            f"{len(class_names)} classes\nstore 'class_names' with the set if it leaves some out or has another order"
        )
    return numbers, None, BY_INDEX


def matched(names: Sequence[str], class_names: tuple[str, ...], where: object = "the set") -> list[int]:
    """The place in the data's order of each of a set's class names; ImageNet's may be WordNet ids or English names.

    Raises:
        DecoctError: the names are not those of the data, or one stands twice.
    """
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise DecoctError(f"{where} names the class '{twice[0]}' twice")
    for table in _tables(class_names):
        if set(names) == set(table):
            return [table[name] for name in names]
    missing, extra = sorted(set(class_names) - set(names)), sorted(set(names) - set(class_names))
    raise DecoctError(
        f"the classes of {where} are not those of the data\n"
        f"missing: {', '.join(missing[:5]) or 'none'}; unknown: {', '.join(extra[:5]) or 'none'}"
    )


def folders(names: Sequence[str], class_names: tuple[str, ...], where: object = "the set") -> tuple[list[int], str]:
    """The class of each folder, named as a class or by its index from 0, zero-padded or not; and how it was told.

    Raises:
        DecoctError: neither, or both can be meant.
    """
    named = any(set(names) == set(table) for table in _tables(class_names))
    if named or not all(name.isascii() and name.isdigit() for name in names):
        return matched(names, class_names, where), BY_NAME
    if both := sorted(set(names) & set(class_names)):
        raise DecoctError(
            f"the folders of {where} can be meant as names or as numbers of classes: '{both[0]}' is a class\n"
            "name every folder as its class"
        )
    numbers = [int(name) for name in names]
    if sorted(numbers) != list(range(len(class_names))):
        raise DecoctError(
            f"the folders of {where} are {len(names)} numbers from {min(numbers)} to {max(numbers)}, "
            f"the data have {len(class_names)} classes: number them from 0 to {len(class_names) - 1}, each once"
        )
    return numbers, BY_INDEX


def _named(labels: list[str], class_names: tuple[str, ...]) -> tuple[NDArray[np.int64], None, str]:
    """Labels that are names themselves: a small set may leave classes out."""
    names = set(labels)
    for table in _tables(class_names):
        if names <= table.keys():
            return np.array([table[label] for label in labels], np.int64), None, BY_NAME
    unknown = sorted(names - set(class_names))
    raise DecoctError(f"the data have no class '{unknown[0]}'; they have {', '.join(class_names[:5])} …")


def _whole(labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.ndim != 1 or labels.dtype.kind not in "buif":
        raise DecoctError(f"labels must be [n] whole numbers, or names, not {list(labels.shape)} {labels.dtype}")
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
        raise DecoctError("labels must be whole numbers: these are fractions, or not finite")
    return labels.astype(np.int64)


def _tables(class_names: tuple[str, ...]) -> list[dict[str, int]]:
    """Names by place: as the data have them, and ImageNet's other names where the data are of ImageNet's classes."""
    own = {name: place for place, name in enumerate(class_names)}
    other = _imagenet(class_names)
    return [own, *([other] if other and other.keys() != own.keys() else [])]


def _imagenet(class_names: tuple[str, ...]) -> dict[str, int]:
    """WordNet ids for English names, and the other way round; nothing where a name is not a class of ImageNet-1K."""
    if not all(name[:1] == "n" and name[1:].isdigit() for name in class_names[:1]) and len(class_names) < 1000:
        return {}
    names_of = {wnid: english()[wnid] for wnid in wnids()}
    for known in (names_of, {name: wnid for wnid, name in names_of.items()}):
        if set(class_names) <= known.keys():
            names = [known[name] for name in class_names]
            return {name: place for place, name in enumerate(names)} if len(set(names)) == len(names) else {}
    return {}
