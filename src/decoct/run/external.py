"""The ``[[external]]`` of a study: an external set, which decoct did not make, and what is said of it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.core.names import Name
from decoct.data.foreign.stored import SetFormat
from decoct.data.reading.snapshot import HUB as FROM_HUB


class StatedCost(BaseModel):
    """What the author of a set says that it took; nobody measured it here.

    Attributes:
        seconds: of its construction.
        source: where that is said, such as "Table 5".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=1, max_length=200)


class External(BaseModel):
    """A set that decoct did not make, in the same table as those that it makes.

    Attributes:
        label: what it is called.
        path: a file, a folder, or ``hub:OWNER/NAME``; see ``decoct.data.foreign.read.load_set``.
        family: what it is compared as.
        format: what the file does not say of itself.
        budget: that the set must keep to; None for what it is found to have.
        cost: as its author states it; None where unknown.
        labels: folder of stored labels that came along, as ``decoct relabel`` writes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Name
    path: str = Field(min_length=1)
    family: Literal["distillation", "coreset"] = "distillation"
    format: SetFormat = SetFormat()
    budget: Budget | None = None
    cost: StatedCost | None = None
    labels: str | None = None


def by_label(entries: tuple[External, ...], taken: set[str]) -> dict[str, External]:
    """Entries by label.

    Raises:
        UsageError: a label that is taken.
    """
    found: dict[str, External] = {}
    for entry in entries:
        if entry.label in taken or entry.label in found or entry.label == "full":
            raise UsageError(f"external: the label '{entry.label}' is taken: give the set another one")
        found[entry.label] = entry
    return found


def of_hub(entry: Any) -> bool:
    """Whether a table of a study names a set of the hub, whose path is none of this machine."""
    return isinstance(entry, dict) and str(entry.get("path", "")).startswith(FROM_HUB)
