"""Parquet shards with an image and a label a row, as on the hub: ``data/train-00000-of-00294.parquet`` …"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError
from decoct.data.layouts.layout import MAX_BYTES, Layout, Picture, Piece, named
from decoct.data.layouts.shards import by_split, split_of

IMAGE, LABEL = "image", "label"
SHARDS = ("data/train-*.parquet", "data/validation-*.parquet", "data/val-*.parquet")  # as the hub calls them
ROWS = 32  # that are read at once


class Parquet(Layout):
    """Shards of columns ``image``, of bytes and path, and ``label``, a number in the order of sorted WordNet ids."""

    title = "Parquet shards"

    def files(self) -> Iterator[Path]:
        """The shards of train and val."""
        for found in shards(self.root).values():
            yield from found

    def pieces(self) -> list[Piece]:
        """Each row group of each shard, with the row that it begins at."""
        found: list[Piece] = []
        for split, files in shards(self.root).items():
            for shard in files:
                with opened(shard) as file:
                    start = 0
                    for group in range(file.metadata.num_row_groups):
                        found.append((split, shard.relative_to(self.root).as_posix(), group, start))
                        start += file.metadata.row_group(group).num_rows
        return found

    def pictures(self, piece: Piece, only: Container[int] | None = None) -> Iterator[tuple[int, Picture]]:
        """The rows of a row group, a few at a time."""
        split, shard, group, start = str(piece[0]), self.root / str(piece[1]), int(piece[2]), int(piece[3])
        with opened(shard) as file:
            number = -1
            columns = {"columns": [IMAGE, LABEL], "row_groups": [group]}
            for batch in file.iter_batches(ROWS, **columns, use_threads=False):
                images, labels = batch.column(IMAGE), batch.column(LABEL).to_pylist()
                for row, label in enumerate(labels):
                    number += 1
                    wnid = self._class(label, f"row {start + number} of {shard}")
                    if wnid not in self.wanted or (only is not None and number not in only):
                        continue
                    data, path = of(images[row].as_py(), f"row {start + number} of {shard}")
                    name = path or f"{shard.stem}_{start + number:07d}"
                    yield number, Picture(split, wnid, named(name, wnid, str(shard)), data)

    def _class(self, label: Any, where: str) -> str:
        if not isinstance(label, int):
            raise DecoctError(f"{where} has the label {label!r}, not a number of a class")
        return self.wnid_of(label, where)


def parquets(root: Path) -> list[Path]:
    """Shards in a folder, or in its folder ``data``, where the hub has them."""
    return [*root.glob("*.parquet")] or [*root.glob("data/*.parquet")]


def shards(root: Path) -> dict[str, list[Path]]:
    """Shards in a folder by split.

    Raises:
        DecoctError: not all of them are there.
    """
    return by_split(parquets(root))


def is_parquet(root: Path) -> bool:
    """Whether a folder holds shards."""
    return any(split_of(file.name) for file in parquets(root))


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
        said = (str(error).splitlines() or [""])[0]
        raise DecoctError(f"{shard} cannot be read: {said}\nit may be truncated: copy or download it again") from error


def of(image: Any, where: str) -> tuple[bytes, str | None]:
    """Bytes and path of a cell.

    Raises:
        DecoctError: it holds no bytes, or too many.
    """
    data = image and image.get("bytes")
    if data is None:
        raise DecoctError(f"{where} holds no bytes of a picture: shards that only name files cannot be read")
    if len(data) > MAX_BYTES:
        raise DecoctError(f"{where} has {len(data):,} bytes, more than any picture: remove it")
    return data, image.get("path")
