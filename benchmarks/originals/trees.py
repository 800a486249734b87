"""The authors' files, imported where they lie and run on a CPU."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class DoneError(Exception):
    """The program has made what was asked for and need not go on."""


class _OnCpu(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "cuda":
            return args[0]
        if "cuda" in str(kwargs.get("device", "")):
            kwargs["device"] = "cpu"
        return func(*("cpu" if isinstance(a, str | torch.device) and "cuda" in str(a) else a for a in args), **kwargs)


@contextmanager
def on_cpu() -> Iterator[None]:
    """In the block, what is sent to a GPU stays where it is."""
    nets = replaced(torch.nn.Module, cuda=lambda self, *_: self), replaced(torch.nn, DataParallel=lambda net, **_: net)
    with nets[0], nets[1], replaced(torch.cuda, empty_cache=lambda: None), _OnCpu():
        yield


@contextmanager
def replaced(place: Any, **values: Any) -> Iterator[None]:
    """In the block, attributes of a module or class are others."""
    before = {name: vars(place)[name] if name in vars(place) else getattr(place, name) for name in values}
    for name, value in values.items():
        setattr(place, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)


@contextmanager
def recorded(place: Any, name: str) -> Iterator[list[Any]]:
    """What a function of a module or class returns in the block, in order, such as the views that decoct draws."""
    seen: list[Any] = []
    function = getattr(place, name)

    def kept(*args: Any, **kwargs: Any) -> Any:
        seen.append(function(*args, **kwargs))
        return seen[-1]

    with replaced(place, **{name: kept}):
        yield seen


@contextmanager
def program(path: Path, *beside: Path, **stubs: ModuleType) -> Iterator[ModuleType]:
    """A file as a module that finds what lies beside it; what it imports by short names is forgotten afterwards.

    Args:
        path: of the file.
        beside: further folders that it imports from.
        stubs: modules that it imports and does not need, by name.
    """
    known, paths = dict(sys.modules), list(sys.path)
    sys.path[:0] = [str(path.parent), *map(str, beside)]
    sys.modules.update(stubs)
    spec = importlib.util.spec_from_file_location(f"original_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with ExitStack() as stack:
            stack.enter_context(replaced(sys, argv=[str(path)]))
            spec.loader.exec_module(module)
            yield module
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - set(known):
            found = sys.modules[name]
            places = [getattr(found, "__file__", None) or "", *getattr(found, "__path__", ())]
            if any(str(folder) in place for folder in (path.parent, *beside) for place in places):
                del sys.modules[name]
        for name in stubs:
            sys.modules.pop(name, None)
            if name in known:
                sys.modules[name] = known[name]
