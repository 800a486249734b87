"""Specs: a method's hyper-parameters as a frozen model, and how a name in a study becomes one."""

import ast
import difflib
import functools
import hashlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from decoct.core.bounds import Bounded
from decoct.core.errors import UsageError
from decoct.core.names import check_name

T = TypeVar("T", bound=BaseModel)

PACKAGES = {
    "condenser": "decoct.methods",
    "protocol": "decoct.protocols",
    "metric": "decoct.metrics",
    "source": "decoct.data.sources",
    "need": "decoct.needs",
}
SHOWN = 120  # characters of a wrong value, in an error
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Spec(Bounded):
    """Base of everything that a study names: its fields are all the hyper-parameters there are.

    ``version`` is raised when the same fields mean other results; it enters every key. ``quick`` holds the field
    values that cut the method down for ``decoct check``. ``later`` names fields that came later than the keys of many
    cells: keys leave them out at their default. ``name`` is the file's name unless the class sets it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    kind: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[int] = 1
    quick: ClassVar[dict[str, Any]] = {}
    later: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[str | None] = None  # digest of the plug-in file it came from

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__module__.rpartition(".")[2]
        for name in cls.model_fields:  # or what asks would get a value that cannot be called
            if any(callable(vars(base).get(name)) for base in cls.__mro__ if issubclass(base, Spec)):
                raise UsageError(
                    f"{cls.__name__}: each {cls.kind} is asked for {name}(): call the field something else"
                )

    def identity(self) -> dict[str, Any]:
        """What enters a key: name, version, fields and, for a plug-in, the digest of its file.

        The precision of nets is left out where it is the usual one: it came later than the keys of many cells.
        """
        usual = {name for name in self.later if getattr(self, name) == type(self).model_fields[name].default}
        fields = self.model_dump(mode="json", exclude=usual_precision(self) | usual)
        who: dict[str, Any] = {"name": self.name, "version": self.version, "fields": fields}
        return who | ({"source": self.source} if self.source else {})

    def config(self) -> dict[str, Any]:
        """The spec as a study would write it: ``parse(kind, spec.config())`` gives an equal one."""
        return {"name": self.name, **self.model_dump(mode="json")}

    @classmethod
    def again(cls, config: Mapping[str, Any]) -> Self:
        """The spec of this class that ``config()`` described."""
        return build(cls, {name: value for name, value in config.items() if name != "name"}, cls.name)


def usual_precision(model: BaseModel) -> set[str]:
    """The field ``precision``, where a model has it at its default: what keys leave out."""
    field = type(model).model_fields.get("precision")
    return {"precision"} if field and model.precision == field.default else set()  # type: ignore[attr-defined]


def digest(value: Any) -> str:
    """SHA-256 of the value's canonical JSON, the first 32 hex digits."""
    return hashlib.sha256(CANONICAL.encode(value).encode()).hexdigest()[:32]


def suggest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean …?`` with the nearest known word, or the list of all."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."


@functools.cache
def entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """What installed packages offer; it is looked up once, since that reads a file of every package."""
    return tuple(metadata.entry_points(group=group))


def names(kind: str, plugins: Sequence[str] = ()) -> dict[str, str]:
    """Every name of a kind with the place it comes from, built in first; nothing built in is imported.

    Raises:
        UsageError: two sources claim one name, or it may be none.
    """
    found = {name: str(path) for name, path in _files(kind).items()}
    for point in entry_points(f"decoct.{kind}s"):
        _claim(found, kind, point.name, point.value)
    for plugin in plugins:
        for cls in _specs(load_plugin(plugin), kind):
            _claim(found, kind, cls.name, plugin)
    return found


def summary(kind: str) -> dict[str, str]:
    """First docstring line of every built-in or installed name, read without importing methods."""
    lines = {name: ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for name, path in _files(kind).items()}
    lines |= {point.name: f"from {point.value}" for point in entry_points(f"decoct.{kind}s")}
    return {name: text.partition("\n")[0] for name, text in sorted(lines.items())}


def find(kind: str, name: str, plugins: Sequence[str] = ()) -> type[Any]:
    """The Spec class that a name stands for: built in, from an entry point, or from a plug-in file.

    Raises:
        UsageError: nobody knows the name (with the nearest one), or two sources claim it.
    """
    places = names(kind, plugins)
    if name not in places:
        raise UsageError(f"unknown {kind} '{name}'.{suggest(name, places)}")
    place = places[name]
    if place in plugins:
        classes = [cls for cls in _specs(load_plugin(place), kind) if cls.name == name]
    elif place.endswith(".py"):
        package = Path(_package(kind))
        module = ".".join((PACKAGES[kind], *Path(place).relative_to(package).with_suffix("").parts))
        classes = _specs(importlib.import_module(module), kind)
    else:
        module, _, attribute = place.partition(":")
        classes = [getattr(importlib.import_module(module), attribute)]
    if len(classes) != 1:
        raise UsageError(f"{place} must define exactly one {kind} named '{name}'; found {len(classes)}")
    return classes[0]


def parse(kind: str, config: Mapping[str, Any] | str, plugins: Sequence[str] = ()) -> Any:
    """A spec from ``"name"`` or ``{"name": …, field: value, …}``.

    Raises:
        UsageError: unknown name or field (with the nearest one), or a value that the field refuses.
    """
    fields = {"name": config} if isinstance(config, str) else dict(config)
    try:
        name = fields.pop("name")
    except KeyError:
        raise UsageError(f"a {kind} needs a name; got only {sorted(fields)}") from None
    if not isinstance(name, str):
        raise UsageError(f"a {kind}'s name is a string, not {name!r}")
    cls = find(kind, name, plugins)
    return build(cls, fields, f"{kind} '{name}'")


def build(cls: type[T], fields: Mapping[str, Any], where: str) -> T:
    """``cls(**fields)`` with pydantic's complaints turned into lines that say what to do."""
    try:
        return cls(**fields)
    except ValidationError as error:
        errors = error.errors()
        places = [e["loc"] for e in errors]  # what holds a wrong value is wrong too, which need not be said
        inner = [e for e in errors if not any(e["loc"] == place[: len(e["loc"])] != place for place in places)]
        raise UsageError("\n".join(_complaint(cls, e, where) for e in inner[:3])) from None


def _complaint(cls: type[BaseModel], error: Any, where: str) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        owner: Any = cls
        for part in error["loc"][:-1]:  # a nested model knows its own keys
            annotation = getattr(owner, "model_fields", {}).get(part)
            owner = annotation.annotation if annotation else next(iter(get_args(owner)), None)  # a tuple's own
        known = getattr(owner, "model_fields", {})
        hint = suggest(str(error["loc"][-1]), known) if known else ""
        return f"{where}: unknown key '{path}'.{hint}"
    why = error["msg"].removeprefix("Value error, ")
    return f"{where}: {path + ': ' if path else ''}{why} (got {shown(error['input'])})"


def shown(value: Any) -> str:
    """A value as Python writes it, at most ``SHOWN`` characters of it."""
    try:
        said = repr(value)
    except (ValueError, RecursionError):  # Python does not spell numbers of more than 4,300 digits
        return "more than can be shown"
    return said if len(said) <= SHOWN else f"{said[:SHOWN]} …"


@functools.cache
def load_plugin(path: str) -> ModuleType:
    """Import a plug-in file; the digest of its text is set on each Spec in it and enters their keys.

    Raises:
        UsageError: no such file, or it fails to import.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"plug-in {path}: no such file")
    name = f"decoct_plugins.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"plug-in {path}: not a Python file, whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic resolves annotations through it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # of one that leaves, which is not to end the program
        raise UsageError(f"plug-in {path}: {type(error).__name__}: {error}") from error
    text = hashlib.sha256(file.read_bytes()).hexdigest()[:32]
    for kind in PACKAGES:
        for cls in _specs(module, kind):
            cls.source = text
    return module


def _specs(module: ModuleType, kind: str) -> list[type[Spec]]:
    """The Spec classes of a kind that the module itself defines."""
    own = (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)
    return [cls for cls in own if issubclass(cls, Spec) and getattr(cls, "kind", None) == kind]


def _package(kind: str) -> str:
    return str(Path(__file__).parents[1].joinpath(*PACKAGES[kind].split(".")[1:]))


@functools.cache
def _files(kind: str) -> dict[str, Path]:
    package = Path(_package(kind))
    files = {path: path.relative_to(package).parts for path in sorted(package.rglob("*.py"))}
    return {path.stem: path for path, parts in files.items() if not any(part.startswith("_") for part in parts)}


def _claim(found: dict[str, str], kind: str, name: str, place: str) -> None:
    if name in found:
        raise UsageError(f"{kind} '{name}' is claimed twice: by {found[name]} and by {place}; rename one")
    try:
        found[check_name(name)] = place
    except ValueError as error:
        raise UsageError(f"{place} calls a {kind} {name!r}: {error}") from None
