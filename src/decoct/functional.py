"""The metrics as pure functions on features: ``decoct.functional.prdc(real, condensed, k=5)``.

Names resolve when they are used (PEP 562), so that importing this module does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoct.metrics.covering_radius import covering_radius
    from decoct.metrics.distances import distances
    from decoct.metrics.frechet import frechet
    from decoct.metrics.kid import kid
    from decoct.metrics.label_spread import label_spread
    from decoct.metrics.memorisation import memorisation
    from decoct.metrics.mmd import mmd
    from decoct.metrics.prdc import prdc
    from decoct.metrics.realism import realism
    from decoct.metrics.sliced_wasserstein import sliced_wasserstein
    from decoct.metrics.vendi import vendi

__all__ = [
    "covering_radius",
    "distances",
    "frechet",
    "kid",
    "label_spread",
    "memorisation",
    "mmd",
    "prdc",
    "realism",
    "sliced_wasserstein",
    "vendi",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"decoct.metrics.{name}"), name)


def __dir__() -> list[str]:
    return __all__
