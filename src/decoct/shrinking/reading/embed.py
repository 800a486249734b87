"""Features of a frozen net, from the pictures that are decoded anyway."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError, UsageError

if TYPE_CHECKING:  # torch takes seconds to import, and a pool without features needs none
    from decoct.needs.features import Extract
    from decoct.nets.backbone import Backbone

BATCH = 16  # pictures in one forward pass: on one thread, more is no faster and takes more memory


@dataclass(frozen=True)
class Embed:
    """The extractor of a pool's features.

    Attributes:
        word: as ``decoct.needs.features.Extract`` has it: "timm:NAME", "timm:NAME@FILE", "dinov2", "clip", …; or
            "FILE.npy", whose rows are in the order in which the source lists its pictures: of a folder by split, then
            class, then path; a row for those that do not decode, too.
    """

    word: str

    def extract(self) -> "Extract":
        """The extractor with all that decides its features.

        Raises:
            UsageError: nobody knows it, or it is not frozen.
        """
        from decoct.needs.features import WORDS, Extract

        extract = Extract.of(self.word)
        if extract.origin not in ("timm", "rows"):
            raise UsageError(f"features of '{self.word}' are not those of a frozen net\n{WORDS}")
        return extract.pinned()


@dataclass(frozen=True)
class Net:
    """A frozen net as worker processes load it.

    Attributes:
        name: of ``decoct.nets.backbone.load``.
        file: of its weights; None for a cache.
        side: of the squares that it is given.
        channels: of them.
        features: that it gives.
    """

    name: str
    file: str | None
    side: int
    channels: int
    features: int

    def features_of(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [n, d] of squares [n, C, side, side]; the same on every machine of a kind, as of one thread."""
        import torch

        from decoct.nets.backbone import embed

        net = _loaded(self.name, self.file)[0]
        with _one_thread():
            blocks = [squares[start : start + BATCH] for start in range(0, len(squares), BATCH)]
            made: NDArray[np.float32] = torch.cat([each for block in blocks for each in embed(net, block)]).numpy()
        return made


def net_of(extract: "Extract") -> Net:
    """The net of an extractor, loaded once here, so that workers find it in a cache and errors come before any work.

    Raises:
        UsageError, DecoctError: as of ``decoct.nets.backbone.load``.
    """
    from decoct.nets import backbone

    if extract.file is None:
        backbone.at_hand(extract.net)
    file = None if extract.file is None else str(extract.file)
    facts = _loaded(extract.net, file)[1]
    return Net(extract.net, file, max(facts["size"]), len(facts["mean"]), facts["features"])


def rows_of(extract: "Extract", count: int) -> NDArray[Any]:
    """A map of the features [count, d] that the user supplies.

    Raises:
        DecoctError: there is another number of them.
    """
    from decoct.needs.features import mapped

    assert extract.file is not None
    rows = mapped(extract.file)
    if len(rows) != count:
        raise DecoctError(
            f"{extract.file} has {len(rows):,} rows for {count:,} pictures that are listed: one each is needed, "
            "in the order of the listing"
        )
    return rows


@lru_cache(maxsize=1)
def _loaded(name: str, file: str | None) -> tuple["Backbone", dict[str, Any]]:
    from pathlib import Path

    from decoct.nets import backbone
    from decoct.nets.layout import laid_out

    net, facts = backbone.load(name, None if file is None else Path(file))
    laid_out(net)
    return net, facts


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
