"""Which runs a folder holds, read without importing what computes."""

from pathlib import Path

from decoct.core.record import cell_dir, complete, read_json


def runs(folder: Path) -> dict[str, str]:
    """A line about every run in a folder, by path: its data, and how many of its students are trained."""
    found = {}
    for manifest in sorted(folder.glob("*/run.json")):
        try:
            facts = read_json(manifest)
            students = [job["key"] for job in facts["jobs"] if job["kind"] == "train"]
            done = sum(complete(cell_dir(manifest.parent / "store", "train", key)) for key in students)
            found[str(manifest.parent)] = f"{facts['data']['name']}, {done} of {len(students)} students trained"
        except (OSError, ValueError, KeyError, TypeError) as error:
            found[str(manifest.parent)] = f"damaged: {error}"
    return found
