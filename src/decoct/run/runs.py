"""Which runs a folder holds, read without importing what computes."""

from pathlib import Path

from decoct.core.cells import Cells, open_cells
from decoct.core.places import STORE, is_url, store_of
from decoct.core.record import read_json

MANY = 2000  # jobs from which the bytes of a run are not counted: each file is asked for its size


def runs(folder: Path) -> dict[str, str]:
    """A line about every run in a folder, by path: its data, how many of its students are trained, its bytes.

    Of a store at a URL nothing is asked, and of a large one or one that others share no bytes are counted.
    """
    found = {}
    for manifest in sorted(folder.glob("*/run.json")):
        try:
            facts = read_json(manifest)
            students = [job["key"] for job in facts["jobs"] if job["kind"] == "train"]
            said = str(facts.get("store", STORE))
            where, name = store_of(manifest.parent, said), facts["data"]["name"]
            if is_url(where):
                found[str(manifest.parent)] = f"{name}, {len(students)} students planned, cells at {where}"
                continue
            cells = open_cells(where)
            done = sum(cells.has("train", key) for key in students)
            size = _size(cells) if said == STORE and len(facts["jobs"]) < MANY else ""
            found[str(manifest.parent)] = f"{name}, {done} of {len(students)} students trained{size}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            found[str(manifest.parent)] = f"damaged: {error}"
    return found


def _size(cells: Cells) -> str:
    """What the cells of a store weigh, in MB of a million bytes."""
    total = sum(entry.size for files in cells.listing().values() for entry in files.values())
    return f", {total / 1e6:,.1f} MB"
