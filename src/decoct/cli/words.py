"""What the words of a command line stand for: a device, fields, seeds, teachers."""

import tomllib
from collections.abc import Sequence
from typing import Any

from decoct.core.errors import UsageError
from decoct.core.spec import find


def device(word: str) -> str:
    """The device that "auto" or a name such as "cuda:1" stands for; a UsageError if this machine has none such."""
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


def place(on: str | None, workers: int | None, word: str, threads: int, address: str | None, gpus: Any = None) -> Any:
    """The ``Place`` that the words of a command line mean; a cluster's device need not be on this machine.

    Without ``on`` it is what suits the workers; without those, the cores or GPUs of this machine, or all of a cluster.

    Raises:
        UsageError: what does not go together, or is not so.
    """
    import torch

    from decoct.run.execute import cores
    from decoct.run.workers.executors import Place, visible_gpus

    where = word if address is not None and word == "cuda" else device(word)
    visible = visible_gpus(torch.cuda.device_count()) if where == "cuda" else ()
    if workers is None and address is None:
        shared = where == "cuda" and on != "ray"  # each worker takes a GPU; Ray hands them out itself
        workers = len(visible) if shared else max(1, cores() // threads) if where == "cpu" or on == "ray" else 1
        workers = 1 if on == "inline" else workers
    return Place(on, workers, where, visible, shares(gpus), address)  # type: ignore[arg-type]


def pairs(words: Sequence[str] | None, option: str, form: str) -> dict[str, str]:
    """``KEY=VALUE`` words of an option that may be repeated; a UsageError without a key or "=", or for a key twice."""
    values: dict[str, str] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} takes {form}, not '{word}'")
        if key in values:
            raise UsageError(f"{option} {key}: given twice")
        values[key] = value
    return values


def shares(words: Sequence[str] | None) -> dict[str, float]:
    """``KIND=N`` words: GPUs of a job by its kind; a UsageError if they are not, or name a kind twice."""
    said = pairs(words, "--gpus", form := "KIND=N, such as train=0.5")
    try:
        return {kind: float(number) for kind, number in said.items()}
    except ValueError:
        raise UsageError(f"--gpus takes {form}, not '{' '.join(words or ())}'") from None


def source(
    data: str | dict[str, Any], size: int | None, skip_corrupt: bool, plugins: Sequence[str] = ()
) -> str | dict[str, Any]:
    """The same data at another size, or with files that do not decode left out; as it is where neither is asked for.

    Raises:
        UsageError: a source that reads no pictures, or that nobody knows.
    """
    asked: dict[str, Any] = {"size": size, "skip_corrupt": skip_corrupt}
    changed = {field: value for field, value in asked.items() if value}
    config: dict[str, Any] = {"name": data} if isinstance(data, str) else dict(data)
    name = str(config.get("name")).partition(":")[0]
    for field in changed:
        if field not in find("source", name, plugins).model_fields:
            raise UsageError(f"--{field.replace('_', '-')} is for folders of pictures; {name} has none")
    return config | changed if changed else data


def fields(settings: Sequence[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` words as of ``pairs``; a value is TOML where it parses as such, else text."""
    config: dict[str, Any] = {}
    for key, value in pairs(settings, "--set", "KEY=VALUE").items():
        if key == "name":
            raise UsageError("--set name: the method is named before")
        try:
            parsed = tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            parsed = {}
        config[key] = parsed["value"] if len(parsed) == 1 else value  # a line break may start another key
    return config


def seeds(word: str) -> tuple[int, ...]:
    """Numbers with commas between; a UsageError if they are not."""
    try:
        return tuple(int(number) for number in word.split(","))
    except ValueError:
        raise UsageError(f"--seeds takes whole numbers with commas between, not '{word}'") from None


def teachers(words: Sequence[str] | None) -> dict[str, Any]:
    """``NET=FILE`` words, as of ``pairs``, as teachers that are loaded, by net; a UsageError if a file is missing."""
    from decoct.engine.teachers import Teach

    files = pairs(words, "--teacher", "NET=FILE")
    return {net: Teach(net=net, checkpoint=file).pinned() for net, file in files.items()}
