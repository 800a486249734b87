"""What any number that a user writes must be, whatever else its field asks: no truth value, and of a size that counts.

A number far beyond all use would not be refused by what computes with it: it would plan for years, or end the process
in a library's own words.
"""

import functools
from typing import Any, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

MOST = 2**31 - 1  # of a whole number: what libraries count in 32 bits
LARGEST = 3e38  # of any other: what float32 holds
SEED = 2**63 - 1  # of a seed
TIMES = 10_000  # of what is repeated, each time in a job of its own
THREADS = 1024


class Bounded(BaseModel):
    """Base of what users write: ``true`` is no number, and a field that names no bound has one.

    It is ``MOST`` of whole numbers and ``LARGEST`` of others. Of lists and tuples, each item is looked at.
    """

    @field_validator("*", mode="wrap")
    @classmethod
    def _counted(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        kinds, below, above = _field(cls, name)
        if not kinds & {int, float}:
            return handler(value)
        if bool not in kinds and any(isinstance(each, bool) for each in _each(value)):
            raise PydanticCustomError("number", "a number is wanted, not true or false")
        made = handler(value)
        for each in _each(made):
            most = MOST if isinstance(each, int) else LARGEST
            if above and isinstance(each, int | float) and each > most:
                raise PydanticCustomError("size", "must be at most {most}", {"most": _spelt(most)})
            if below and isinstance(each, int | float) and each < -most:
                raise PydanticCustomError("size", "must be at least −{most}", {"most": _spelt(most)})
        return made


@functools.cache
def _field(cls: type[BaseModel], name: str) -> tuple[frozenset[Any], bool, bool]:
    """The types that a field takes, and whether it lacks a lower and an upper bound of its own."""
    field = cls.model_fields[name]
    below, above = (not any(isinstance(each, kind) for each in field.metadata) for kind in (Ge | Gt, Le | Lt))
    return frozenset(_leaves(field.annotation)), below, above


def _spelt(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _leaves(kind: Any) -> set[Any]:
    inner = get_args(kind)
    return set[Any]().union(*map(_leaves, inner)) if inner else {kind}


def _each(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else (value,)
