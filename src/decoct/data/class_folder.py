"""A condensed set that is a class-folder of pictures, made by decoct or by anyone."""

from pathlib import Path

import numpy as np

from decoct.core.condensed import Condensed, folder_names
from decoct.core.errors import DecoctError
from decoct.core.record import Provenance
from decoct.data.decode import DecodeError, decode
from decoct.data.tree import classes


def read_class_folder(folder: Path, class_names: tuple[str, ...], shape: tuple[int, int, int]) -> Condensed:
    """Read ``folder/CLASS/*`` for data with these classes and this image shape.

    Pictures of another size are resized and cropped as the data's own were; PNGs of the data's size are exact.

    Args:
        folder: class folders, named as the classes or as ``Condensed.export`` names them.
        class_names: of the data, in order.
        shape: (C, H, W) of the data.

    Raises:
        DecoctError: unreadable, classes that the data do not have or that are missing, or a damaged picture.
    """
    found = classes(folder, folder)
    for expected in (class_names, folder_names(class_names)):
        if set(found) == set(expected):
            break
    else:
        missing, extra = sorted(set(class_names) - set(found)), sorted(set(found) - set(class_names))
        raise DecoctError(
            f"the classes of {folder} are not those of the data\n"
            f"missing: {', '.join(missing[:5]) or 'none'}; unknown: {', '.join(extra[:5]) or 'none'}"
        )
    images, labels = [], []
    for label, name in enumerate(expected):
        for file in found[name]:
            try:
                images.append(decode((folder / file).read_bytes(), shape[1], shape[0]))
            except (DecodeError, OSError) as error:
                raise DecoctError(f"{folder / file}: {error}; replace or remove it") from error
            labels.append(label)
    return Condensed(
        labels=np.array(labels, dtype=np.int64),
        class_names=class_names,
        provenance=Provenance(method=folder.name or "unknown"),
        images=np.stack(images),
    )
