"""Fashion-MNIST with faults in its train images: near-copies, or wrong labels; val and test are as they were."""

import io
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from decoct.core.interfaces import Progress
from decoct.data.source import Part, Raw, Source
from decoct.data.sources.fashion_mnist import FashionMNIST

LOOK_ALIKE = {0: 6, 6: 0, 2: 4, 4: 2, 5: 7, 7: 5}  # T-shirt and shirt, pullover and coat, sandal and sneaker
KINDS = ("exact", "jpeg", "shifted", "brighter")  # of copies, in turn
VAL = 500


class DirtyFashion(Source):
    """Some of Fashion-MNIST (Xiao et al., 2017), a share of it faulty; the name of an image's file says how.

    Attributes:
        fault: "copies" of other train images, as they are, encoded as JPEG, shifted by a pixel or brighter;
            "symmetric", labels that became any other class; "confusing", labels that became a class that looks alike.
        share: of the train images that are faulty.
        count: train images.
        tests: test images.
        seed: of the images and of their faults.
        path: folder of the idx files.
    """

    name: ClassVar[str] = "dirty_fashion"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    fault: Literal["copies", "symmetric", "confusing"] = "copies"
    share: float = Field(0.2, gt=0, le=0.5)
    count: int = Field(5000, ge=100)
    tests: int = Field(2000, ge=100)
    seed: int = 0
    path: Path | None = None
    flip: bool | None = True

    def manifest(self) -> Any:
        """That of Fashion-MNIST."""
        return FashionMNIST(path=self.path).manifest()

    def read(self, manifest: Any, scratch: Path, progress: Progress) -> Raw:
        """Draw images, and spoil some."""
        whole = FashionMNIST(path=self.path).read(manifest, scratch, progress)
        rng = np.random.default_rng(self.seed)
        train, test = whole.parts["train"], whole.parts["test"]
        faults, copies = round(self.share * self.count), self.fault == "copies"
        rows = rng.permutation(len(train))[: self.count - (faults if copies else 0) + VAL]
        val, rows = rows[:VAL], rows[VAL:]
        images, labels, names = train.images[rows], train.labels[rows], [f"{row:05d}" for row in rows]
        if copies:
            of = rng.permutation(len(rows))[:faults]
            made = [copied(images[i], KINDS[at % len(KINDS)]) for at, i in enumerate(of)]
            images, labels = np.concatenate([images, np.stack(made)]), np.concatenate([labels, labels[of]])
            names += [f"{names[i]}-{KINDS[at % len(KINDS)]}" for at, i in enumerate(of)]
        else:
            able = np.flatnonzero(np.isin(labels, list(LOOK_ALIKE)) | (self.fault == "symmetric"))
            for i in rng.permutation(able)[:faults]:
                was = int(labels[i])
                labels[i] = LOOK_ALIKE[was] if self.fault == "confusing" else (was + rng.integers(1, 10)) % 10
                names[i] += f"-was-{was}"
        order = rng.permutation(len(images))  # so that no place in the data gives a fault away
        parts = {
            "train": Part(images[order], labels[order], np.arange(len(order)), tuple(names[i] for i in order)),
            "val": Part(train.images, train.labels[val], val),
            "test": test.where(np.arange(len(test)) < self.tests),
        }
        return Raw(whole.class_names, parts)


def copied(image: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """[1, S, S] a copy, as it is or a little different."""
    if kind == "jpeg":
        file = io.BytesIO()
        Image.fromarray(image[0]).save(file, "JPEG", quality=50)
        return np.asarray(Image.open(file))[None]
    if kind == "shifted":
        return np.pad(image, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    return np.minimum(image * 1.15, 255).astype(np.uint8) if kind == "brighter" else image
