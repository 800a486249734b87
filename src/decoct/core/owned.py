"""Files that decoct writes under names of its own into a folder that the user named: they replace nobody else's."""

from collections.abc import Iterable
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.record import read_json


def check_own(folder: Path, names: Iterable[str], ours: bool) -> None:
    """See that files may be written.

    Args:
        folder: which may not be there.
        names: of what is written into it.
        ours: whether decoct wrote what is there under these names.

    Raises:
        UsageError: it did not.
    """
    if not ours and (there := [name for name in names if (folder / name).exists()]):
        raise UsageError(
            f"{folder} holds {', '.join(there)}, which decoct did not write\nchoose another --out, or move that away"
        )


def holds(path: Path, key: str) -> bool:
    """Whether a file is JSON with this key."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and key in found
