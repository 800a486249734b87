"""How large a condensed set may be."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from decoct.core.errors import DecoctError


class Budget(BaseModel):
    """Images per class; as people write it: ``ipc=10``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ipc: int = Field(ge=1)

    def per_class(self, counts: Sequence[int], class_names: Sequence[str]) -> list[int]:
        """How many images each class gives.

        Args:
            counts: images that each class has.
            class_names: their names, for the message.

        Raises:
            DecoctError: a class has fewer images than the budget asks for.
        """
        for count, name in zip(counts, class_names, strict=True):
            if count < self.ipc:
                raise DecoctError(f"class '{name}' has {count} training images, fewer than ipc={self.ipc}: lower --ipc")
        return [self.ipc] * len(counts)

    def __str__(self) -> str:
        return f"ipc={self.ipc}"
