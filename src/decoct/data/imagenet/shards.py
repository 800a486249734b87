"""Shards whose names say split and number: Parquet with one picture per row, as on the hub, and WebDataset."""

import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.data.imagenet import tarfiles
from decoct.data.imagenet.layout import MAX_BYTES, TRAIN, VAL, Layout, Member, Piece

WORDS = {"train": TRAIN, "validation": VAL, "val": VAL}
IMAGE, LABEL = "image", "label"  # columns of Parquet
ON_THE_HUB = ("data/train-*.parquet", "data/validation-*.parquet", "data/val-*.parquet")
ROWS = 32  # that are read at once
PICTURES, CLASS = ("jpg", "jpeg", "png"), "cls"  # endings in WebDataset


class Shards(Layout):
    """Files that hold pictures of one split each."""

    @classmethod
    @abstractmethod
    def listed(cls, root: Path) -> list[Path]:
        """Files in a folder that may be shards."""

    @classmethod
    def among(cls, root: Path) -> bool:
        """Whether a folder holds such shards."""
        return any(split_of(file.name) for file in cls.listed(root))

    def files(self) -> Iterator[Path]:
        """The shards of train and val."""
        for shards in by_split(self.listed(self.root)).values():
            yield from shards

    def pieces(self) -> list[Piece]:
        """Each shard."""
        every = by_split(self.listed(self.root)).items()
        return [(split, shard.relative_to(self.root).as_posix()) for split, shards in every for shard in shards]


class Parquet(Shards):
    """Shards of columns ``image``, of bytes and path, and ``label``, a number in the order of sorted WordNet ids."""

    title = "Parquet shards"

    @classmethod
    def listed(cls, root: Path) -> list[Path]:
        """Those in a folder, or in its folder ``data``, where the hub has them."""
        return [*root.glob("*.parquet")] or [*root.glob("data/*.parquet")]

    def pieces(self) -> list[Piece]:
        """Each row group of each shard, with the row that it begins at."""
        groups: list[Piece] = []
        for split, shard in super().pieces():
            with opened(self.root / str(shard)) as file:
                start = 0
                for group in range(file.metadata.num_row_groups):
                    groups.append((split, shard, group, start))
                    start += file.metadata.row_group(group).num_rows
        return groups

    def members(self, piece: Piece) -> Iterator[Member]:
        """The rows of a row group, a few at a time."""
        split, shard, group, row = str(piece[0]), self.root / str(piece[1]), int(piece[2]), int(piece[3])
        with opened(shard) as file:
            for batch in file.iter_batches(ROWS, row_groups=[group], columns=[IMAGE, LABEL], use_threads=False):
                images, labels = batch.column(IMAGE), batch.column(LABEL).to_pylist()
                named = images.type.get_field_index("path") >= 0
                paths = images.field("path").to_pylist() if named else [None] * len(labels)
                for image, path, label in zip(images, paths, labels, strict=True):
                    where = f"row {row} of {shard}"
                    if not isinstance(label, int):
                        raise DecoctError(f"{where} has the label {label!r}, not a number of a class")
                    name = path or f"{shard.stem}_{row:07d}"
                    yield split, self.wnid_of(label, where), name, str(shard), partial(content, image, where)
                    row += 1


class WebDataset(Shards):
    """Tars in which files of one stem are one sample, ``n01440764_10026.jpg`` and ``….cls``, beside each other."""

    title = "WebDataset shards"

    @classmethod
    def listed(cls, root: Path) -> list[Path]:
        """Tars in a folder."""
        return [*root.glob("*.tar")]

    def members(self, piece: Piece) -> Iterator[Member]:
        """The samples of a shard in their order; files of other extensions, such as .json, are passed over."""
        split, shard = str(piece[0]), self.root / str(piece[1])
        sample, parts = "", dict[str, Any]()  # the current stem, and of what it has: the class, what reads the picture
        for info, load in tarfiles.members(shard):
            path = PurePosixPath(info.name)
            stem, _, extension = path.name.partition(".")
            if (ending := extension.lower()) not in (*PICTURES, CLASS):
                continue
            if (stem := str(path.with_name(stem))) != sample:
                check_whole(shard, sample, parts)
                sample, parts = stem, {}
            part = CLASS if ending == CLASS else "picture"
            if part in parts:
                raise DecoctError(f"{shard}: the sample '{stem}' is there twice, or has two pictures: mend the shard")
            parts[part] = label_of(load(), f"'{info.name}' in {shard}") if part == CLASS else load
            if len(parts) == 2:
                wnid = self.wnid_of(parts[CLASS], f"'{stem}' in {shard}")
                yield split, wnid, stem, str(shard), parts["picture"]
        check_whole(shard, sample, parts)


def split_of(name: str) -> str | None:
    """The split in a shard's name, such as "train-00000-of-00294.parquet" or "imagenet1k-validation-00.tar"."""
    match = re.search(r"(?:^|[-_.])(train|validation|val)(?=[-_.\d])", name)
    return WORDS[match[1]] if match else None


def by_split(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Shards of train and val, sorted by name; those of other splits, such as test, are passed over.

    Raises:
        DecoctError: a split has none, one is missing between the others, or a split comes in two numberings.
    """
    named: dict[str, list[Path]] = {TRAIN: [], VAL: []}
    for file in sorted(files):
        if split := split_of(file.name):
            named[split].append(file)
    for split, shards in named.items():
        if not shards:
            raise DecoctError(f"there are no shards of {split}: their names must say train, validation or val")
        complete(split, shards)
    return named


def complete(split: str, shards: list[Path]) -> None:
    """Refuse shards of a split if one is missing, or if they are numbered in two ways, as when written twice."""
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


@contextmanager
def opened(shard: Path) -> Iterator[Any]:
    """A shard that has the columns.

    Raises:
        DecoctError: it cannot be read, now or while it is open, or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(shard) as file:
            kinds = {field.name: field.type for field in file.schema_arrow}
            image, label = kinds.get(IMAGE), kinds.get(LABEL)
            whole = image is not None and pa.types.is_struct(image) and image.get_field_index("bytes") >= 0
            if not whole or label is None or not pa.types.is_integer(label):
                raise DecoctError(
                    f"{shard} has the columns {', '.join(kinds)}\n"
                    "needed are image, a struct of bytes and path, and label, an integer, as in ILSVRC/imagenet-1k"
                )
            yield file
    except (pa.ArrowException, OSError) as error:
        blame(error)
        said = (str(error).splitlines() or [""])[0]
        raise DecoctError(f"{shard} cannot be read: {said}\nit may be truncated: copy or download it again") from error


def content(cell: Any, where: str) -> bytes:
    """The bytes in a cell of Parquet."""
    data = (cell.as_py() or {}).get("bytes")
    if data is None:
        raise DecoctError(f"{where} holds no bytes of a picture: shards that only name files cannot be read")
    if len(data) > MAX_BYTES:
        raise DecoctError(f"{where} has {len(data):,} bytes, more than any picture: remove it")
    return bytes(data)


def check_whole(shard: Path, sample: str, parts: dict[str, Any]) -> None:
    """Refuse a sample that has a picture and no class, or the other way round."""
    if len(parts) == 1:
        lacks = "picture (.jpg, .jpeg, .png)" if CLASS in parts else ".cls"
        raise DecoctError(f"{shard}: the sample '{sample}' has no {lacks}")


def label_of(data: bytes, where: str) -> int:
    """The number in a ``.cls`` file."""
    try:
        return int(data.decode().strip())
    except ValueError:
        raise DecoctError(f"{where} holds {data[:20]!r}, not the number of a class") from None
