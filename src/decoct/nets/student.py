"""What a student's name means: a net of the zoo's or of timm's, with a file of weights, or a callable of the user's.

- ``"convnet3"``: a net that ``decoct.nets.zoo`` knows.
- ``"timm:NAME"``: timm's net of that name; the same as ``"NAME"``, but that a ResNet is timm's at any resolution.
- ``"NAME@FILE"``: a net with a file of weights, for what starts from weights.
- ``"package.module:make"``: a callable of ``(classes, channels, size)`` that gives an ``nn.Module``, from the current
  folder or an installed package; ``"package.module:make@FOLDER"`` from that folder.
"""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import STRAINED, blame
from decoct.nets import backbone, resnet, zoo
from decoct.nets.standard import STANDARD, TIMM, standard

PART = r"[^\W\d]\w*"
OWN = re.compile(rf"(?P<module>{PART}(?:\.{PART})*):(?P<make>{PART}(?:\.{PART})*)")
_read: dict[str, tuple[str, Path | None]] = {}  # of the user's modules: digest as imported, and the folder asked


@dataclass(frozen=True)
class Student:
    """A net to be trained.

    Attributes:
        name: the zoo's, or ``"package.module:make"``.
        where: file of its weights, or the folder that its module is in; None where it has none, or is installed.
    """

    name: str
    where: Path | None = None

    @classmethod
    def of(cls, word: str, folder: Path | None = None) -> "Student":
        """What a word means in a folder, the current one if none is given.

        Raises:
            UsageError: nobody knows such a net, there is no such file, or no such module.
        """
        name, at, place = word.partition("@")
        folder = (folder or Path.cwd()).resolve()
        where = (folder / Path(place).expanduser()).resolve() if at else None
        if match := _own(name):
            if where is None and _found(match["module"], folder):
                where = folder
            if where is not None and not where.is_dir():
                raise UsageError(f"student '{word}': no folder at {where}")
            return cls(name, where)
        if name.startswith(TIMM):
            name = name.removeprefix(TIMM)
            if name in STANDARD:
                raise UsageError(f"student '{word}': timm calls this net {standard(name).net}")
            backbone.check_name(name)
            name = backbone.full_name(name) if name in resnet.NAMES else name
        zoo.check_name(name)
        if where is not None and not where.is_file():
            raise UsageError(f"student '{word}': no file of weights at {where}")
        return cls(name, where)

    @property
    def own(self) -> bool:
        """Whether the user's code makes it."""
        return _own(self.name) is not None

    @property
    def address(self) -> str:
        """The word that means it on this machine, whatever the folder."""
        return self.name if self.where is None else f"{self.name}@{self.where}"

    @cached_property
    def title(self) -> str:
        """What it is called in results and keys: no path, but a part of the digest of its weights."""
        return self.name if self.own or self.where is None else f"{self.name}@{digest(self.where)[:8]}"

    def identity(self) -> dict[str, str]:
        """What decides it beside the title: the digest of its source, or of its file."""
        if self.own:
            return {"source": digest(Path(str(self._module().__file__)))}
        return {} if self.where is None else {"file": digest(self.where)}

    def check(self) -> None:
        """Raise a UsageError unless the user's code, where it is that, is there and gives a callable."""
        if self.own:
            self._make()

    def check_fits(self, channels: int, classes: int, size: int) -> None:
        """Raise a UsageError unless it takes such images; a net of the user's is made once for that."""
        if self.own:
            _try_once(self, digest(Path(str(self._module().__file__))), channels, classes, size)
        else:
            zoo.check_fits(self.name, size)

    def build(self, channels: int, classes: int, size: int, seed: int) -> nn.Module:
        """The net with fresh weights, or as the user's code makes it; the same seed gives the same weights.

        Raises:
            UsageError: it cannot take such images, or the code gives no module with an output a class.
            DecoctError: the user's code fails.
        """
        if not self.own:
            return zoo.build(self.name, channels, classes, size, seed)
        make = self._make()
        with torch.random.fork_rng(devices=[]), self._importing():
            torch.default_generator.manual_seed(seed)
            try:
                net = make(classes, channels, size)
            except Exception as error:
                raise DecoctError(
                    f"{self.name}({classes}, {channels}, {size}) failed: {type(error).__name__}: {error}\n"
                    "it is called with the numbers of classes and channels, and the side of the images in pixels"
                ) from error
            if not isinstance(net, nn.Module):
                raise UsageError(f"{self.name} gave a {type(net).__name__}: it is to make an nn.Module")
            try:
                return zoo.tried(net, self.name, channels, classes, size)
            except (TypeError, IndexError, AttributeError, KeyError) as error:
                said = f"{type(error).__name__}: {error}"
                raise UsageError(f"{self.name} cannot take {channels} × {size} × {size} images: {said}") from error

    def _make(self) -> Callable[..., Any]:
        what = _own(self.name)["make"]  # type: ignore[index]
        try:
            made = reduce(getattr, what.split("."), self._module())
        except AttributeError:
            raise UsageError(f"student '{self.name}': its module has no '{what}'") from None
        if not callable(made):
            raise UsageError(
                f"student '{self.name}' is a {type(made).__name__}: name a callable of (classes, channels, size) that "
                "makes an nn.Module"
            )
        return made

    def _module(self) -> ModuleType:
        """The user's module; imported again where its file, or the folder, is another one now."""
        name = _own(self.name)["module"]  # type: ignore[index]
        with self._importing():
            importlib.invalidate_caches()
            known = sys.modules.get(name)
            if known is not None and self._is_other(known):
                top = name.partition(".")[0]
                for old in [each for each in sys.modules if each == top or each.startswith(f"{top}.")]:
                    del sys.modules[old]
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                    raise UsageError(f"student '{self.name}': {name} imports {error.name}, which is not here") from None
                place = f"in {self.where}" if self.where else "in the current folder, nor installed"
                raise UsageError(f"student '{self.name}': no module '{error.name}' {place}") from None
            except Exception as error:
                raise UsageError(f"student '{self.name}': {name} fails: {type(error).__name__}: {error}") from error
        if not getattr(module, "__file__", None):
            raise UsageError(f"student '{self.name}': {name} is no file: name the module in which it is defined")
        _read[name] = digest(Path(str(module.__file__)).resolve()), self.where
        return module

    def _is_other(self, known: ModuleType) -> bool:
        """Whether a module that is imported already lies elsewhere, or its file has changed since."""
        file = Path(str(getattr(known, "__file__", None) or "")).resolve()
        away = self.where is not None and not file.is_relative_to(self.where)
        if away or not file.is_file():
            return True
        now = digest(file), self.where
        return _read.get(known.__name__, now) != now

    @contextmanager
    def _importing(self) -> Iterator[None]:
        """In the block modules come from its folder first."""
        if self.where is None or not self.own:
            yield
            return
        sys.path.insert(0, str(self.where))
        try:
            yield
        finally:
            sys.path.remove(str(self.where))


def anchored(word: str, folder: Path) -> str:
    """A word with its file or folder made absolute, as it is meant in a folder; a net that needs neither as it is."""
    name, at, place = word.partition("@")
    if at:
        return f"{name}@{(folder / Path(place).expanduser()).resolve()}"
    own = _own(name)
    return f"{name}@{folder.resolve()}" if own and _found(own["module"], folder) else word


def digest(file: Path) -> str:
    """SHA-256 of a file, the first 32 hex digits; it is read again only when it changes.

    Raises:
        DecoctError: it cannot be read.
    """
    try:
        facts = file.stat()
        return _digest(file, facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot read {file}: {error.strerror or error}") from error


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def _own(name: str) -> re.Match[str] | None:
    return None if name.startswith(TIMM) else OWN.fullmatch(name)


def _found(module: str, folder: Path) -> bool:
    """Whether a folder has a module, or the package that it is in."""
    importlib.invalidate_caches()
    return PathFinder.find_spec(module.partition(".")[0], [str(folder)]) is not None


@cache
def _try_once(student: Student, source: str, channels: int, classes: int, size: int) -> None:
    student.build(channels, classes, size, seed=0)
