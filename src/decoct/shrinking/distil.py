"""The methods that make images: which there are, at which sizes they race, and how one set is made of a pool's rows."""

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.core.interfaces import Condenser, Kept
from decoct.core.scratch import replace
from decoct.core.spec import parse, suggest
from decoct.data.dataset import Dataset, Split
from decoct.shrinking.choose import Quota, quotas
from decoct.shrinking.learners.net import training_set
from decoct.shrinking.made import MAKERS, Made
from decoct.shrinking.pool import Pool
from decoct.shrinking.work import guarded, opened
from decoct.study.store.store import KeptOnDisk

Rows = NDArray[np.int64]
MOST = 50  # images per class, the most that their papers make
SMALL = 0.1  # of the candidates, the largest share that is made: making takes longer the more images there are
MOMENT, LONG = 3.0, 10.0  # seconds that iterations are timed for; of a first iteration that says enough


def check(
    asked: Sequence[str | Mapping[str, Any]], protocol: str | None, extractor: str | None, keep: Path | None
) -> dict[str, Condenser]:
    """The methods that are asked for, by name.

    Args:
        asked: names, or tables such as {"name": "dm", "iterations": 300}; what is not said is as in the papers.
        protocol: that the user names; None for none.
        extractor: likewise.
        keep: likewise.

    Raises:
        UsageError: no such method here, one that is named twice, a wrong parameter, or what does not go with them.
    """
    if asked and (protocol == "probe" or extractor is not None):
        raise UsageError(
            "--distil makes images, which have no frozen features: name --student or --protocol scratch|finetune"
        )
    if asked and keep is not None:
        raise UsageError("a set that --distil makes has no image of yours: leave --keep or --distil out")
    makers: dict[str, Condenser] = {}
    for each in asked:
        name = each if isinstance(each, str) else str(each.get("name"))
        if name not in MAKERS:
            raise UsageError(
                f"--distil is one of {', '.join(MAKERS)}, not '{name}'.{suggest(name, MAKERS)}\n"
                "the others need teachers, trajectories or generators: 'decoct run' compares them"
            )
        if name in makers:
            raise UsageError(f"--distil {name} is asked for twice")
        makers[name] = parse("condenser", each)
    return makers


def fits(n: int, counts: Sequence[int]) -> bool:
    """Whether a set of ``n`` can be made from so many images of each class: of none more than the papers make."""
    return max(quotas(counts, n)) <= MOST


def fitted(spec: Condenser, pool: Pool, rows: Rows) -> Condenser:
    """The method for these candidates: with its net, and real batches no larger than the smallest class."""
    smallest = min(count for count in pool.counts(rows) if count)
    return spec.model_copy(update={"batch": min(spec.batch, smallest)}).at(pool.size)  # type: ignore[attr-defined]


def make(spec: Condenser, pool: Pool, rows: Rows, n: int, seed: int, device: str, folder: Path | None) -> Made:
    """A set of ``n`` images, of every class in proportion to its rows, as a set that is chosen has them.

    Pixels are rounded to 8 bits and clipped, since this is what files hold: students are trained on what is written.

    Args:
        spec: the method.
        pool: the images.
        rows: candidates, all of which it may look at.
        n: images of the set.
        seed: of its draws.
        device: where it computes.
        folder: for its state, from which a stopped making continues; None keeps none.

    Raises:
        UsageError: as ``choose.quotas``.
        DecoctError: as of the method, such as a loss that is not finite.
    """
    start = time.perf_counter()
    kept = None if folder is None else KeptOnDisk(folder, spends=lambda: (time.perf_counter() - start,))
    seen, counts = training_set(pool, rows), pool.counts(rows)
    split = Split(seen.images.numpy(), pool.labels[rows])
    mean, std = tuple(seen.mean), tuple(seen.std)
    flip = bool(pool.facts.get("flip", pool.images.shape[1] == 3))
    inputs = Quota(
        data=Dataset(pool.source, pool.class_names, pool.digest, split, split, split, mean, std, flip, Path()),
        budget=Budget(images=n, balanced=False),
        seed=seed,
        device=device,
        classes=tuple(c for c, count in enumerate(counts) if count),
        kept=kept or Kept(),
        each=tuple(quotas(counts, n)),
    )
    draft = fitted(spec, pool, rows)(inputs)
    assert draft.images is not None and draft.labels is not None
    seconds = float(kept.spent()[0]) if kept else time.perf_counter() - start
    images = np.clip(np.rint(np.asarray(draft.images) * 255), 0, 255).astype(np.uint8)
    return Made(images, draft.labels, seconds)


def keep(
    folder: str, kept: str, key: str, learner: Any, rows: Rows, n: int, seed: int, spec: Condenser, device: str
) -> float:
    """In a worker: make a set of ``n`` images, and keep it; gives the seconds."""
    pool, state = opened(folder), Path(kept) / f"{key}.state"
    made: Made = guarded(partial(make, spec, pool, rows, n, seed, device, state))
    replace(Path(kept) / f"{key}.npz", made.save)
    shutil.rmtree(state, ignore_errors=True)
    return made.seconds


def pace(folder: str, rows: Rows, n: int, spec: Condenser, device: str) -> float:
    """In a worker: seconds that a set is foretold to take, from its first iterations, more until a moment is over."""
    every: int = spec.iterations  # type: ignore[attr-defined]

    def seconds(some: int) -> float:
        few = spec.model_copy(update={"iterations": some})
        made: Made = guarded(partial(make, few, opened(folder), rows, n, 0, device, None))
        return made.seconds / some * every

    first = seconds(1)  # it is slow, as any first call is
    if first > LONG * every:
        return min(first, seconds(1))
    some = 1
    while (found := seconds(some)) * some < MOMENT * every and some < every:
        some = min(4 * some, every)
    return found
