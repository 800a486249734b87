"""A set in one safetensors file with the tensors ``images`` and ``labels``."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from decoct.core import tensorfile
from decoct.core.errors import DecoctError
from decoct.data.foreign.stored import SetFormat, Stored, from_arrays


def read(path: Path, how: SetFormat) -> Stored:
    """Read the tensors; class names may stand in the file's metadata as JSON, under ``class_names``.

    Raises:
        DecoctError: truncated, or of a type that numpy does not have.
    """
    try:
        arrays = dict(tensorfile.read(path))
        with safe_open(path, framework="numpy") as file:
            names = json.loads((file.metadata() or {}).get("class_names", "null"))
    except (OSError, ValueError, SafetensorError) as error:
        why = " ".join(str(error).split())[:120]
        raise DecoctError(f"{path} cannot be read as safetensors ({why}): get it again, or save float32") from error
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise DecoctError(f"{path}: class_names in its metadata must be a JSON list of names")
    return from_arrays(arrays | ({"class_names": names} if names else {}), path, "safetensors")
