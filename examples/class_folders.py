"""Write a data set by name as class folders of PNG files, `FOLDER/train/CLASS/00000.png`, as people have them.

python examples/class_folders.py digits digits
python examples/class_folders.py fashion_mnist fashion 6000 4000    # at most so many train and test images
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from decoct.api import load_data


def write(name: str, folder: Path, most: dict[str, int]) -> None:
    """Train and test images, the first ones of each; what decoct holds out as val is train, at the end."""
    data = load_data(name)
    for split, parts in {"train": (data.train, data.val), "test": (data.test,)}.items():
        pairs = ((own.images[at], own.labels[at]) for own in parts if own for at in range(len(own.labels)))
        for at, (image, label) in enumerate(islice(pairs, most.get(split))):
            pixels, place = np.asarray(image), folder / split / data.class_names[label].replace("/", "-")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(place / f"{at:05}.png")


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), dict(zip(("train", "test"), map(int, sys.argv[3:]), strict=False)))
