"""What a user is told of pictures besides their pixels."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FEW = 2  # images of a class of which a user is told
NAMED = 3  # classes in a message
SAME = {"MPO": "JPEG", "DIB": "BMP"}  # formats that go by another's extension


def misnamed(paths: Sequence[str], formats: NDArray[Any]) -> list[tuple[int, str]]:
    """Rows of files whose extension says another format than their content, and that of the content."""
    known = Image.registered_extensions()
    return [
        (row, name)
        for row, (path, name) in enumerate(zip(paths, formats.tolist(), strict=True))
        if name and (says := known.get(PurePath(path).suffix.lower())) and says != name and says != SAME.get(name)
    ]


def small_classes(class_names: Sequence[str], labels: NDArray[np.int64]) -> list[str]:
    """A line about classes of one or two images."""
    counts = np.bincount(labels, minlength=len(class_names))
    small = np.flatnonzero(counts <= FEW)
    if not len(small):
        return []
    few = ", ".join(class_names[label] for label in small[:NAMED]) + (" …" if len(small) > NAMED else "")
    if len(small) == 1:
        return [f"1 class has only {int(counts[small[0]])} image(s): {few}"]
    return [f"{len(small):,} classes have only one or two images: {few}"]
