"""The metrics as pure functions on features: ``decoct.functional.prdc(real, condensed, k=5)``.

Their names are those of the files of ``decoct.metrics``. They resolve when they are used (PEP 562), so that importing
this module does not import torch.
"""

import importlib
from pathlib import Path
from typing import Any

_NAMES = {file.stem for file in Path(__file__).with_name("metrics").glob("[!_]*.py")}
__all__ = sorted(_NAMES - {"cost"})  # which is measured, and no function of features


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"decoct.metrics.{name}"), name)


def __dir__() -> list[str]:
    return __all__
