"""A set in one NumPy archive: ``np.savez(file, images=…, labels=…)``."""

import zipfile
from pathlib import Path

import numpy as np

from decoct.core.errors import DecoctError
from decoct.data.foreign.stored import SetFormat, Stored, from_arrays


def read(path: Path, how: SetFormat) -> Stored:
    """Read ``images`` and ``labels``, and what comes along, without unpickling anything.

    Raises:
        DecoctError: truncated, no archive, or arrays of objects.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError, AttributeError, TypeError) as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise DecoctError(
                f"{path} holds Python objects, which are not unpickled: save plain arrays of numbers"
            ) from error
        why = " ".join(str(error).split())[:120]
        raise DecoctError(f"{path} is damaged or no NumPy archive ({why}): get it again") from error
    return from_arrays(arrays, path, "npz")
