"""Any data set of the Hugging Face hub with an image and a label column: its name, or a folder of that layout."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.data.source import Raw, hash_file
from decoct.data.sources._shared.hub_columns import (
    COMMIT,
    classes,
    columns,
    numbers,
    picture,
    roles,
    trouble,
    unlabelled,
)
from decoct.data.sources._shared.pictures import Picture, PictureSource


class Hub(PictureSource):
    """A data set that ``datasets.load_dataset`` reads, without running the data set's code.

    Without a test split the validation split is the test split; without both, a stratified part of train is.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "revision"})
    path: str = Field(min_length=1)  # a name such as "uoft-cs/cifar10", a folder, or a Parquet file
    image: str | None = None  # the column; None: the only one of type Image
    label: str | None = None  # the column; None: the only one of type ClassLabel
    subset: str | None = None  # which of its configurations
    revision: str | None = None  # branch, tag or commit
    train: str | None = None  # the split; None: the usual names
    test: str | None = None

    @property
    def title(self) -> str:
        """The name without its owner, or the folder's."""
        local = self.local()
        if local is None:
            return self.path.rpartition("/")[2]
        return local.stem if local.is_file() else local.name

    def local(self) -> Path | None:
        """The folder or file that ``path`` means; None if it is a name on the hub.

        Raises:
            DecoctError: it looks like a place on this machine, where there is nothing.
        """
        place = Path(self.path).expanduser()
        if place.exists():
            return place.resolve()
        if self.path.startswith(("/", "~", ".")) or self.path.count("/") > 1 or place.suffix == ".parquet":
            raise DecoctError(f"no such folder: {self.path}")
        return None

    def manifest(self) -> dict[str, Any]:
        """The commit that the hub or its cache has, for which no picture is read; the digest of each local file."""
        if place := self.local():
            return {"files": {name: hash_file(path) for name, path in local_files(place).items()}}
        try:
            builder = library().load_dataset_builder(self.path, name=self.subset, revision=self.revision)
        except Exception as error:  # the library's own, the hub's client's, and those of its network
            raise trouble(error, self.path) from error
        commit = str(builder.hash)
        if self.revision and COMMIT.fullmatch(self.revision) and commit != self.revision:
            raise DecoctError(
                f"the hub is out of reach, and its cache has {self.path} at {commit}, not {self.revision}\n"
                "leave out revision, or load it once where there is a network"
            )
        return {"name": self.path, "subset": builder.config.name, "commit": commit}

    def read(self, manifest: dict[str, Any], scratch: Path, progress: Progress) -> Raw:
        """Load, say which columns and splits are which, and decode every picture once.

        Raises:
            DecoctError: columns or splits are not clear, labels are wrong, or pictures do not decode.
        """
        splits = self.load(manifest, scratch)
        features = next(iter(splits.values())).features
        image, label = columns(features, self.image, self.label)
        values = {name: list(table[label]) for name, table in splits.items()}
        chosen = roles([name for name in splits if not unlabelled(values[name])], self.train, self.test)
        names = classes(features[label], {split: values[split] for split in chosen.values()})
        labels = {role: numbers(values[split], names, split) for role, split in chosen.items()}
        tables = {role: (split, splits[split]) for role, split in chosen.items()}
        every, total = partial(pictures, tables, labels, image), sum(map(len, labels.values()))
        parts, skipped, said = self.decoded(every, total, self.path, scratch, progress)
        return Raw(names, self.with_test(parts, names), skipped, said=said)

    def load(self, manifest: dict[str, Any], scratch: Path) -> dict[str, Any]:
        """The data set's splits by name. Of a local one the library's own copy is as short-lived as ``scratch``."""
        datasets, place = library(), self.local()
        try:
            if place is None:
                commit = manifest["commit"]
                revision = commit if COMMIT.fullmatch(commit) else self.revision
                return dict(datasets.load_dataset(self.path, name=self.subset, revision=revision))
            what: dict[str, Any] = {"path": str(place), "name": self.subset}
            if place.is_file():
                what = {"path": "parquet", "data_files": str(place)}
            return dict(datasets.load_dataset(**what, cache_dir=str(scratch / "arrow")))
        except Exception as error:
            raise trouble(error, self.path) from error


def library() -> Any:
    """``datasets``, which is an extra."""
    try:
        import datasets
    except ImportError:
        raise DecoctError("data sets of the hub need the extra hub: pip install 'decoct[hub]'") from None
    return datasets


def local_files(place: Path) -> dict[str, Path]:
    """The file, or all files of the folder that are not hidden, by name."""
    if place.is_file():
        return {place.name: place}
    files = {path.relative_to(place): path for path in sorted(place.rglob("*")) if path.is_file()}
    return {name.as_posix(): path for name, path in files.items() if not any(part[0] == "." for part in name.parts)}


def pictures(tables: dict[str, tuple[str, Any]], labels: dict[str, NDArray[np.int64]], image: str) -> Iterator[Picture]:
    """Every picture of every role, undecoded, in the order of the rows; its name is "SPLIT/ROW"."""
    from datasets import Image

    for role, (split, table) in tables.items():
        undecoded = table.select_columns([image]).cast_column(image, Image(decode=False))
        for row, (cells, label) in enumerate(zip(undecoded, labels[role].tolist(), strict=True)):
            yield Picture(role, label, f"{split}/{row}", partial(picture, cells[image]))
