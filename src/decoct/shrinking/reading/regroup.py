"""A pool whose images are in other groups, such as those of near-duplicates that were found in it."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.core.scratch import settle, sync, working
from decoct.core.spec import digest
from decoct.shrinking.pool import COLUMNS, FACTS, Pool, keep_pool, open_pool
from decoct.shrinking.reading.groups import numbered


def regroup(pool: Pool, groups: NDArray[np.int64]) -> Pool:
    """The same images in other groups [N]: a pool of its own beside the first. Nothing is decoded or copied.

    Raises:
        DecoctError: it cannot be written.
    """
    groups = numbered(groups)
    if (groups == pool.groups).all():
        return pool
    content = digest_of(pool.facts["content"], groups)
    root, folder = pool.folder.parent, pool.folder.with_name(digest([pool.folder.name, content]))
    try:
        if not (folder / FACTS).is_file():
            with working(root, "groups") as made:
                for path in pool.folder.glob("*.npy"):
                    if path.stem not in COLUMNS:
                        _link(path, made / path.name)
                table = {name: getattr(pool, name) for name in (*COLUMNS, "paths", "class_names", "unreadable")}
                facts = pool.facts | {"digest": content, "first": first(pool)}
                keep_pool(made, pool.source, table | {"groups": groups}, facts)
                sync(made)
                settle(made, folder, FACTS)
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot write to {root}: {error.strerror or error}\nfree some space") from error
    return replace(open_pool(folder), source=pool.source)


def digest_of(content: str, groups: NDArray[np.int64]) -> str:
    """The digest of a pool, from that of its images, labels and splits."""
    return digest([content, groups.tolist()])


def first(pool: Pool) -> str:
    """The folder of the pool that was read, whatever its groups became since."""
    return str(pool.facts.get("first", pool.folder))


def _link(file: Path, beside: Path) -> None:
    try:
        os.link(file, beside)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, beside)
