"""The classes of ImageNet-1K in the order of its heads: sorted WordNet ids."""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from decoct.core.errors import DecoctError

CLASSES = 1000
CRANES = {"n02012849": "crane, bird", "n03126707": "crane, machine"}


@functools.cache
def wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids, ascending; output c of a head of torchvision's or timm's is class c."""
    from timm.data.imagenet_info import ImageNetInfo  # late: timm takes a second to import

    info: Any = ImageNetInfo()
    return tuple(info.label_names())


@functools.cache
def english() -> tuple[str, ...]:
    """timm's English names in the same order, such as "tench, Tinca tinca"; "crane" stands there twice."""
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo()
    return tuple(info.label_descriptions())


@functools.cache
def described() -> dict[str, str]:
    """English names by WordNet id, of ImageNet-21K too, such as "tench, Tinca tinca"; the two cranes have names of
    their own.
    """
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo("imagenet-22k")
    names: dict[str, str] = info.label_descriptions(as_dict=True)
    return names | CRANES


def known(names: Sequence[str]) -> bool:
    """Whether all names are WordNet ids of ImageNet-1K, or all its English names."""
    return any(set(names) <= set(table) for table in (wnids(), english()))


def rows(names: Sequence[str]) -> list[int]:
    """Output of an ImageNet-1K head for each class: by WordNet id, or by timm's English name.

    Raises:
        DecoctError: a name that ImageNet-1K does not have, or that it has twice.
    """
    advice = "a head of ImageNet-1K is cut by WordNet ids, such as n01440764: name the classes so, or train a teacher"
    table = max((wnids(), english()), key=lambda table: len(set(names) & set(table)))
    place = {name: row for row, name in enumerate(table)}
    for name in names:
        if name not in place:
            raise DecoctError(f"'{name}' is not a class of ImageNet-1K\n{advice}")
    twice = {name for name, times in Counter(table).items() if times > 1}
    if double := sorted(set(names) & twice):
        raise DecoctError(f"'{double[0]}' is the name of two classes of ImageNet-1K\n{advice}")
    return [place[name] for name in names]
