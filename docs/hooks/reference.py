"""Pages of the Python API and of the command line."""

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import typer
from docstrings import cell, example, inline, markdown, own, table
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from specs import function_text, meanings
from values import default, type_of

import decoct
from decoct import functional, select
from decoct.api import Compute
from decoct.core import interfaces as kinds
from decoct.core import needs
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import Scores
from decoct.core.spec import Spec, find, names
from decoct.data.dataset import Dataset, Split
from decoct.data.external.stored import SetFormat
from decoct.data.source import Source
from decoct.needs.features import Extract
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.study.study import Study
from decoct.training.recipe import Recipe, Storing

FUNCTIONS = (
    *("shrink", "load_data", "condense", "load_set", "train"),
    *("relabel", "measure", "teach", "teach_generator"),
)
OPTIONS = (Compute, SetFormat, Storing, Teach, Extract, TeachGenerator, Scores)
EXTENSIONS = (
    *(kinds.Condenser, kinds.Inputs, kinds.Draft, kinds.TrainProtocol, kinds.Task, Recipe),
    *(kinds.Metric, kinds.Measured, kinds.Reading, Source),
)


def python() -> dict[str, str]:
    """Pages of the public names, by path."""
    return {
        "reference/python.md": _joined(
            "# Python API",
            "`import decoct` imports nothing heavy; each name is resolved when it is first used. Work is kept in the "
            "folder `$DECOCT_STORE` names, or in the user's cache: the same call again is read from there. Examples "
            "stand behind `import decoct` and `import numpy as np`.",
            *(_function(name, getattr(decoct, name), "decoct.") for name in FUNCTIONS),
            "## `decoct.Condensed`",
            _class(Condensed),
            "## `decoct.Study`",
            "The keys of a study's TOML file, and how one is read.",
            _class(Study),
            "## Data",
            *(_named(cls, 3) for cls in (Dataset, Split)),
            "## Options and results",
            *(_named(cls, 3) for cls in OPTIONS),
            "## Errors",
            *(_named(cls, 3) for cls in (DecoctError, UsageError)),
        ),
        "reference/functional.md": _joined(
            "# decoct.functional",
            "The metrics as pure functions of arrays or tensors. What each is for is said on its page, in the list of "
            "[metrics](../metrics.md). Functions that an argument names, such as `ball_radii`, are in the module of "
            "the metric: `decoct.metrics.prdc.ball_radii`.",
            *(_function(name, getattr(functional, name), "decoct.functional.") for name in functional.__all__),
        ),
        "reference/select.md": _joined(
            "# decoct.select",
            inline(own(select).summary),
            *(_function(name, getattr(select, name), "decoct.select.") for name in select.__all__),
        ),
        "reference/extensions.md": _joined(
            "# Interfaces for your own",
            "What a method, protocol, metric or data source of yours derives from, gets and gives back; "
            "[add your own](../extending.md) shows each in use.",
            *(_named(cls, 2) for cls in EXTENSIONS),
            "## Needs",
            "What `Condenser.needs` may name.",
            *(_named(find("need", name), 3) for name in sorted(names("need"))),
            "What a need of your own derives from, says and gets.",
            *(_named(cls, 3) for cls in (needs.Need, needs.Part, needs.Plan, needs.Work)),
        ),
    }


def commands() -> str:
    """The page of the command line."""
    from decoct.cli import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Command line",
        "Errors take one to three lines and say what to do. Exit codes are 2 for usage, 1 for other failures, 130 for "
        "Ctrl-C. `--json` prints JSON alone on stdout, with accuracies as fractions; `--debug` shows the traceback of "
        "an error; `decoct COMMAND --help` says the same.",
    ]
    for name, command in group.commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(["decoct", name, *(word for p in arguments for word in _words(p)), "[OPTIONS]"])
        rows = [(", ".join(f"`{word}`" for word in _words(p)), _help(p)) for p in command.params]
        parts += [f"## decoct {name}", inline(command.help or ""), f"```text\n{usage}\n```", table(("", "means"), rows)]
    return _joined(*parts)


def _help(parameter: Any) -> str:
    """What it means, with its default where that is a value."""
    said, value = cell(parameter.help or ""), parameter.default
    if parameter.required:
        return f"{said} Required."
    plain = value not in (None, (), []) and not isinstance(value, bool) and not callable(value)
    return f"{said} Default: {cell(str(value))}." if plain else said


def _words(parameter: Any) -> Iterable[str]:
    if parameter.param_type_name == "argument":
        return [parameter.metavar or parameter.name.upper()]
    plain = [*parameter.opts, *parameter.secondary_opts]
    takes = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return [f"{word}{takes}" for word in plain]


def _function(name: str, function: Any, where: str) -> str:
    return f"## `{where}{name}`\n\n" + function_text(name, function, own(function), where)


def _named(cls: type[Any], level: int) -> str:
    return f"{'#' * level} `{cls.__module__}.{cls.__name__}`\n\n{_class(cls)}"


def _class(cls: type[Any]) -> str:
    """Docstring, fields, public methods."""
    said = own(cls)
    parts = [
        inline(said.summary),
        markdown(said.body),
        _attributes(cls, said.items.get("Attributes", {})),
        _listed("Properties", {name: own(each).summary for name, each in _properties(cls)}),
        _listed("Raises", said.items.get("Raises", {})),
        example(said),
    ]
    for name, member in vars(cls).items():
        plain = getattr(member, "__func__", member)
        if (name.startswith("_") and name != "__call__") or not inspect.isfunction(plain) or not plain.__doc__:
            continue
        if name in getattr(cls, "__dataclass_fields__", {}):  # the default of a field
            continue
        owner = cls.__name__ if isinstance(member, (classmethod, staticmethod)) else cls.__name__.lower()
        head = owner if name == "__call__" else f"{owner}.{name}"
        parts.append(function_text(head, plain, own(plain)))
    return "\n\n".join(part for part in parts if part)


def _properties(cls: type[Any]) -> Iterable[tuple[str, Any]]:
    made = ((name, each) for name, each in vars(cls).items() if isinstance(each, property | cached_property))
    return ((name, each) for name, each in made if not name.startswith("_") and each.__doc__)


def _listed(title: str, items: Mapping[str, str]) -> str:
    lines = "\n".join(f"- `{key}`: {inline(text)}" for key, text in items.items())
    return f"**{title}**\n\n{lines}" if items else ""


def _attributes(cls: type[Any], told: dict[str, str]) -> str:
    fields: dict[str, FieldInfo] = cls.model_fields if issubclass(cls, BaseModel) else {}
    if fields:
        told = meanings(cls) if issubclass(cls, Spec) else told
        rows = [(f"`{key}`", type_of(info), default(info), cell(told.get(key, ""))) for key, info in fields.items()]
        return table(("field", "type", "default", "meaning"), rows)
    return "\n".join(f"- `{key}`: {inline(text)}" for key, text in told.items())


def _joined(*parts: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(part for part in parts if part)) + "\n"
