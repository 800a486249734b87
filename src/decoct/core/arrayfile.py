"""An array in an .npy file, whose header is not believed: a map ends where the file does."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read(path: Path) -> NDArray[Any]:
    """A map of the array; nothing is unpickled, and no value is read.

    Raises:
        OSError: there is no such file, or it cannot be opened.
        ValueError: damaged, or not an .npy file.
    """
    try:
        rows: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        raise
    except Exception as error:  # the parser of its header raises whatever it stumbled on
        raise ValueError(f"{path} has a damaged header ({type(error).__name__})") from error
    return rows


def load(path: Path) -> NDArray[Any]:
    """The array in memory, without a map that holds the file open; errors as of ``read``."""
    return np.array(read(path))
