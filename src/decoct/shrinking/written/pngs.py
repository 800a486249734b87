"""A set that was made, as PNG files in a folder for each class, with its list."""

from collections import Counter
from pathlib import Path

from decoct.core.condensed import png
from decoct.core.owned import LIST
from decoct.shrinking.made import Made
from decoct.shrinking.pool import Pool
from decoct.shrinking.written.files import PAGE, folds
from decoct.shrinking.written.lists import KEPT, LEFT_OUT, PROBLEMS, write_made
from decoct.shrinking.written.places import folder_names

RESERVED = (KEPT, LEFT_OUT, PROBLEMS, PAGE, LIST)


def write_pngs(folder: Path, pool: Pool, made: Made, method: str) -> list[str]:
    """Write ``CLASS/METHOD_0001.png`` for every image, and ``kept.csv``; PNG loses nothing.

    Args:
        folder: that they are written to.
        pool: whose classes they are of.
        made: the set.
        method: that made it, by name.

    Returns:
        each file, relative to the folder.
    """
    folders = folder_names(pool.class_names, folds(folder), RESERVED)
    files, names, numbers = [], [], Counter[int]()
    for image, label in zip(made.images, made.labels.tolist(), strict=True):
        numbers[label] += 1
        (folder / folders[label]).mkdir(exist_ok=True)
        files.append(f"{folders[label]}/{method}_{numbers[label]:04}.png")
        names.append(pool.class_names[label])
        (folder / files[-1]).write_bytes(png(image))
    write_made(folder, names, files, f"made by {method} from all images")
    return files
