"""The metrics, one file each: a pure function below, a Spec above; your own metrics may use ``against_real``.

It resolves when it is used (PEP 562), so that looking for a metric imports no other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoct.metrics._measure import against_real

__all__ = ["against_real"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}._measure"), name)
