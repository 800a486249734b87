"""Part class folders in two, with duplicates and near-duplicates on one side: for `decoct shrink`, and to test it on.

python examples/clipart.py openclipart
python benchmarks/shrink_halves.py openclipart photos fresh --images 3000
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from decoct.data.dataset import default_store
from decoct.data.reading.parallel import cores
from decoct.shrinking.faults.problems import check, groups_of
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.run import FOLDER


def main() -> None:
    """Copy each part into a folder of its own, and say how many pictures it has."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("source", type=Path, help="class folders")
    asked.add_argument("halves", type=Path, nargs=2, help="folders that are not there yet")
    asked.add_argument("--images", type=int, help="of the first part, and the rest of their groups; default: half")
    given = asked.parse_args()
    pool = read_pool(str(given.source), default_store() / FOLDER, workers=cores())
    groups = groups_of(check(pool), pool.groups)
    order = np.random.default_rng(0).permutation(groups.max() + 1)
    sizes = np.bincount(groups)[order]
    first = order[np.cumsum(sizes) - sizes < (given.images or len(pool) / 2)]
    mine = np.isin(groups, first)
    for half, rows in zip(given.halves, (np.flatnonzero(mine), np.flatnonzero(~mine)), strict=True):
        for row in rows.tolist():
            file = given.source / pool.paths[row]
            folder = half / pool.class_names[pool.labels[row]]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)
        print(f"{half}: {len(rows):,} pictures in {len(np.unique(groups[rows])):,} groups")


if __name__ == "__main__":
    main()
