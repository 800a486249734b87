"""How the images of a set are optimised together: blocks that share a view and their statistics, run side by side."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Images that share one crop an iteration, and whose statistics are matched together.

    Attributes:
        classes: of each image.
        ids: number of each image within its class.
    """

    classes: tuple[int, ...]
    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def name(self) -> tuple[int, int]:
        """First class and id: what random draws derive from, so that they hang on nothing else."""
        return self.classes[0], self.ids[0]


def one_of_each(classes: Sequence[int], ipc: int, size: int) -> list[Block]:
    """One image of each of ``size`` consecutive classes a block (SRe2L and what follows it); blocks of the same classes
    stand side by side."""
    runs = [tuple(classes[at : at + size]) for at in range(0, len(classes), size)]
    return [Block(run, (i,) * len(run)) for run in runs for i in range(ipc)]


def in_order(classes: Sequence[int], ipc: int, size: int) -> list[Block]:
    """Class after class, as the files of a class folder: ``size`` images a block, whole classes where they fit.

    A block never holds part of one class and part of another, unless whole classes fit: so it can be made by itself.
    """
    if ipc >= size:
        return [Block((c,) * len(part), part) for c in classes for part in _parts(ipc, size)]
    each = size // ipc
    runs = [classes[at : at + each] for at in range(0, len(classes), each)]
    return [Block(tuple(c for c in run for _ in range(ipc)), tuple(range(ipc)) * len(run)) for run in runs]


def side_by_side(
    blocks: Sequence[Block], images: int, key: Callable[[Block], Hashable] = lambda block: None
) -> Iterator[list[Block]]:
    """Blocks of equal length and equal key, as many at a time as have ``images`` images, at least one."""
    alike: dict[Hashable, list[Block]] = {}
    for block in blocks:
        alike.setdefault((len(block), key(block)), []).append(block)
    for waiting in alike.values():
        together = max(1, images // len(waiting[0]))
        yield from (waiting[at : at + together] for at in range(0, len(waiting), together))


def _parts(count: int, size: int) -> list[tuple[int, ...]]:
    return [tuple(range(at, min(at + size, count))) for at in range(0, count, size)]
