"""Names of shards: which split each is of, and whether one is missing."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.data.layouts.layout import TRAIN, VAL

WORDS = {"train": TRAIN, "validation": VAL, "val": VAL}


def split_of(name: str) -> str | None:
    """The split in a shard's name, such as "train-00000-of-00294.parquet" or "imagenet1k-validation-00.tar"."""
    found = re.search(r"(?:^|[-_.])(train|validation|val)(?=[-_.\d])", name)
    return WORDS[found[1]] if found else None


def by_split(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Shards of train and val, sorted by name; those of other splits, such as test, are passed over.

    Raises:
        DecoctError: a split has none, one is missing between the others, or a split comes in two numberings.
    """
    found: dict[str, list[Path]] = {TRAIN: [], VAL: []}
    for file in sorted(files):
        if split := split_of(file.name):
            found[split].append(file)
    for split, shards in found.items():
        if not shards:
            raise DecoctError(f"there are no shards of {split}: their names must say train, validation or val")
        complete(split, shards)
    return found


def complete(split: str, shards: list[Path]) -> None:
    """Check the numbers in the names of one split's shards.

    Raises:
        DecoctError: one is missing, or there are two ways of counting, as when shards were written twice.
    """
    series: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    for shard in shards:
        name = re.fullmatch(r"(.*?)(\d+)(?:-of-(\d+))?(\D*)", shard.name)
        if name is None and len(shards) > 1:
            raise DecoctError(f"{shard} has no number, beside other shards of {split}: remove what is no shard")
        if name is not None:
            series[f"{name[1]}#{name[4]}", name[3]].append(int(name[2]))
    if len(series) > 1:
        few = " and ".join(sorted(start for start, _ in series)[:2])
        raise DecoctError(f"the shards of {split} in {shards[0].parent} are numbered twice: {few}; remove one of them")
    for (start, total), numbers in series.items():
        expected = range(int(total)) if total else range(min(min(numbers), 1), max(numbers) + 1)
        if missing := sorted(set(expected) - set(numbers)):
            raise DecoctError(
                f"{len(missing)} of {len(expected)} shards of {split} are missing from {shards[0].parent}: "
                f"number {missing[0]} of {start} is the first\ncopy or download them again"
            )
