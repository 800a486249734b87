"""A data set that decoct knows by name, such as "digits"; its val goes back to train."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.interfaces import Progress, silent
from decoct.data.dataset import Dataset, load_data, open_dataset, parse_source
from decoct.shrinking.pool import TEST, TRAIN
from decoct.shrinking.reading.sources.listing import Listing, Place, check_classes

PARTS = {"train": TRAIN, "val": TRAIN, "test": TEST}


def listing(
    source: str, plugins: Sequence[str], size: int | None, workers: int | None, progress: Progress = silent
) -> Listing:
    """Its images as decoct has them; at ``size`` where the source can make them so."""
    fields: dict[str, Any] = (
        {"size": size} if size and "size" in type(parse_source(source, plugins)).model_fields else {}
    )
    data = load_data(source, plugins=plugins, progress=progress, workers=workers, **fields)
    parts = {name: getattr(data, name) for name in PARTS}
    split = np.concatenate([np.full(len(part), PARTS[name], np.int8) for name, part in parts.items()])
    labels = np.concatenate([part.labels for part in parts.values()])
    places = [(name, row) for name, part in parts.items() for row in range(len(part))]
    check_classes(data.class_names, labels, split, source)

    def place(row: int) -> Place:
        name, number = places[row]
        return pixels(parts[name].images[number])

    return Listing(
        source,
        data.class_names,
        labels,
        split,
        [_called(name, row, parts[name].files) for name, row in places],
        place,
        data.digest,
        {"kind": "named", "folder": str(data.folder)},
        arrays={"places": np.array([(list(PARTS).index(name), row) for name, row in places], dtype=np.int64)},
        held=True,
        shape=(data.size, data.size),
    )


def original(facts: Mapping[str, Any], place: Any) -> NDArray[np.uint8]:
    """The pixels of an image, by part and row."""
    part, row = map(int, place)
    return pixels(getattr(_opened(facts["folder"]), list(PARTS)[part]).images[row])


@lru_cache(maxsize=1)
def _opened(folder: str) -> Dataset:
    return open_dataset(Path(folder))


def pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[C, H, W] as [H, W], or as [H, W, 3]."""
    return np.ascontiguousarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _called(part: str, row: int, files: Sequence[str] | None) -> str:
    return f"{part}/{row:06d}" if files is None else files[row]
