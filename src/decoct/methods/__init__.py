"""The methods, one file each in the folder of its family, and the base classes for a method of your own.

Names resolve when they are used (PEP 562), so that looking for a method imports no other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoct.methods.coresets._shared.coreset import Coreset, FeatureCoreset
    from decoct.methods.coresets._shared.gradients import GradientCoreset
    from decoct.methods.coresets._shared.scores import RankedCoreset
    from decoct.methods.decoupled._shared.recovery import Recovery

__all__ = ["Coreset", "FeatureCoreset", "GradientCoreset", "RankedCoreset", "Recovery"]

_HOMES = {
    "Coreset": "coresets._shared.coreset",
    "FeatureCoreset": "coresets._shared.coreset",
    "GradientCoreset": "coresets._shared.gradients",
    "RankedCoreset": "coresets._shared.scores",
    "Recovery": "decoupled._shared.recovery",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
