"""Hyper-parameters by name: those of a method's authors for a data set, or those for a resolution."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from decoct.core.errors import UsageError
from decoct.core.interfaces import Condenser
from decoct.core.spec import suggest

Preset = Mapping[str, Any]


class WithPresets(Condenser):
    """A condenser whose fields may be None: the preset fills these in and keeps fields that the user sets.

    Attributes:
        preset: named set of the fields that are None; None for the preset of the resolution.
    """

    presets: ClassVar[dict[str, Preset]] = {}

    preset: str | None = None

    def usual(self, size: int) -> str:
        """Name of the preset of a resolution."""
        return "imagenet1k" if size > 64 else "small"

    def known(self, size: int) -> dict[str, Any]:
        """The fields of the preset, with its name.

        Raises:
            UsageError: no such preset.
        """
        name = self.preset or self.usual(size)
        if name not in self.presets:
            raise UsageError(f"{self.name} has no preset '{name}'.{suggest(name, self.presets)}")
        return {"preset": name, **self.presets[name]}

    def at(self, size: int) -> Self:
        """The same with every None that the preset knows filled in."""
        known = self.known(size)
        return self.model_copy(update={key: value for key, value in known.items() if getattr(self, key) is None})
