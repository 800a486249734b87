"""Which runs a folder holds, read without importing what computes."""

from pathlib import Path

from decoct.core.cells import STORE, is_url, open_cells, store_of
from decoct.core.machine import trouble
from decoct.core.record import read_json

MANY = 2000  # jobs from which the bytes of a run are not counted: each file is asked for its size


def runs(folder: Path) -> dict[str, str]:
    """A line about every run in a folder, by path: its data, how many of its students are trained, its bytes.

    Of a store at a URL nothing is asked, and of a large one or one that others share no bytes are counted.
    """
    lines = {}
    for manifest in sorted(folder.glob("*/run.json")):
        try:
            facts = read_json(manifest)
            students = [job["key"] for job in facts["jobs"] if job["kind"] == "train"]
            said = str(facts.get("store", STORE))
            where, line = store_of(manifest.parent, said), f"{facts['data']['name']}, "
            if is_url(where):
                line += f"{len(students)} students planned, cells at {where}"
            else:
                cells = open_cells(where)
                line += f"{sum(cells.has('train', key) for key in students)} of {len(students)} students trained"
                if said == STORE and len(facts["jobs"]) < MANY:
                    total = sum(entry.size for files in cells.listing().values() for entry in files.values())
                    line += f", {total / 1e6:,.1f} MB"
        except (OSError, ValueError, KeyError, TypeError) as error:
            line = trouble(error) or f"damaged: {error}"
        lines[str(manifest.parent)] = line
    return lines
