"""What the words of a command line stand for: a device, fields, seeds, teachers."""

import tomllib
from collections.abc import Sequence
from typing import Any

from decoct.core.errors import UsageError
from decoct.core.spec import find


def device(word: str) -> str:
    """The device that "auto" or a name such as "cuda:1" stands for.

    Raises:
        UsageError: no such device, or not on this machine.
    """
    import torch

    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind, number = torch.device(word).type, torch.device(word).index or 0
    except RuntimeError:
        raise UsageError(f"no device is called '{word}': auto, cpu, cuda, cuda:1 or mps") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if number >= there.get(kind, 0):
        raise UsageError(f"this machine has no device '{word}'; --device auto takes what there is")
    return word


def skipping(data: str | dict[str, Any], plugins: Sequence[str] = ()) -> dict[str, Any]:
    """The same data with files that do not decode left out.

    Raises:
        UsageError: a source that reads no pictures, or that nobody knows.
    """
    config = {"name": data} if isinstance(data, str) else dict(data)
    name = str(config.get("name")).partition(":")[0]
    if "skip_corrupt" not in find("source", name, plugins).model_fields:
        raise UsageError(f"--skip-corrupt is for folders of pictures; {name} has none to skip")
    return config | {"skip_corrupt": True}


def fields(settings: Sequence[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` words; a value is TOML where it parses as such, else text.

    Raises:
        UsageError: no key, no equals sign, or a key twice.
    """
    found: dict[str, Any] = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set takes KEY=VALUE, not '{setting}'")
        if key in found or key == "name":
            raise UsageError(f"--set {key}: " + ("given twice" if key in found else "the method is named before"))
        try:
            parsed = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            parsed = {}
        found[key] = parsed["value"] if len(parsed) == 1 else value  # a line break may start another key
    return found


def seeds(word: str) -> tuple[int, ...]:
    """Numbers with commas between.

    Raises:
        UsageError: not so.
    """
    try:
        return tuple(int(number) for number in word.split(","))
    except ValueError:
        raise UsageError(f"--seeds takes whole numbers with commas between, not '{word}'") from None


def teachers(pairs: Sequence[str] | None) -> dict[str, Any]:
    """``NET=FILE`` words as teachers that are loaded, by net.

    Raises:
        UsageError: no equals sign, a net twice, or no such file.
    """
    from decoct.engine.teachers import Teach

    found = {}
    for pair in pairs or ():
        net, equals, file = pair.partition("=")
        if not equals:
            raise UsageError(f"--teacher takes NET=FILE, not '{pair}'")
        if net in found:
            raise UsageError(f"--teacher {net}: given twice")
        found[net] = Teach(net=net, checkpoint=file).pinned()
    return found
