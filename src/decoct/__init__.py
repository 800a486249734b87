"""decoct: which small training set should I use, and is distilling one worth it?

The public names, one page; each is imported when it is first used:

    shrink      which of my images do I need? The smallest set that trains a model as well
    load_data   a labelled image data set by name or folder
    condense    make a small training set
    train       train students on a set and evaluate them
    relabel     label a set once with teachers, so that students learn from it without them
    teach       train or load teachers
    teach_generator
                train a class-conditional diffusion model, or check that one fits
    measure     representativeness, diversity and quality of a set
    Condensed   a small training set: save, load, export, to_torch
    load_set    a set that somebody else made, as Condensed
    SetFormat   what such a set's file does not say of itself
    Study       methods × budgets × protocols × replicates, from TOML
    select      greedy selection kernels on feature arrays
    functional  the metrics as pure functions
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from decoct import functional, select
    from decoct.api import condense, load_data, measure, relabel, teach, teach_generator, train
    from decoct.core.condensed import Condensed
    from decoct.data.external.read import load_set
    from decoct.data.external.stored import SetFormat
    from decoct.shrinking.api import shrink
    from decoct.study.study import Study

__all__ = [
    "Condensed",
    "SetFormat",
    "Study",
    "condense",
    "functional",
    "load_data",
    "load_set",
    "measure",
    "relabel",
    "select",
    "shrink",
    "teach",
    "teach_generator",
    "train",
]

_MODULES = {"functional": "decoct.functional", "select": "decoct.select"}
_HOMES = {
    "decoct.api": ("condense", "load_data", "measure", "relabel", "teach", "teach_generator", "train"),
    "decoct.core.condensed": ("Condensed",),
    "decoct.data.external.read": ("load_set",),
    "decoct.data.external.stored": ("SetFormat",),
    "decoct.shrinking.api": ("shrink",),
    "decoct.study.study": ("Study",),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'decoct' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
