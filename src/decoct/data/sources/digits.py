"""Handwritten digits, 8 × 8 grey, 1,797 images in 10 classes; comes with scikit-learn."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress
from decoct.data.source import Part, Raw, Source, hash_file

TEST_FRACTION, TEST_SEED = 0.2, 0  # the set has no test split of its own; this one is the same for everyone


class Digits(Source):
    """The test part of UCI's "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998), 0–16 as 0–255."""

    def manifest(self) -> dict[str, str]:
        """Digest of scikit-learn's file, found without importing scikit-learn."""
        spec = find_spec("sklearn")
        if spec is None or spec.origin is None:
            raise DecoctError("digits come with scikit-learn, which is not installed: pip install scikit-learn")
        return {"digits.csv.gz": hash_file(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz")}

    def read(self, manifest: dict[str, str], scratch: Path, progress: Progress) -> Raw:
        """Load and scale."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        images = np.rint(bunch.images[:, None] * (255 / 16)).astype(np.uint8)
        names = tuple(str(name) for name in bunch.target_names)
        every = Part(images, bunch.target.astype(np.int64), np.arange(len(images)))
        train, test = every.hold_out(TEST_FRACTION, TEST_SEED, names)
        progress(len(images), len(images))
        return Raw(names, {"train": train, "test": test})
