"""The part of the Python API that makes what methods and protocols learn from: teachers, and generators of images."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from decoct.core.errors import UsageError
from decoct.core.record import read_json
from decoct.core.spec import build
from decoct.data.dataset import Dataset
from decoct.needs.generator import CARD, ImageGenerator, TeachGenerator
from decoct.needs.teacher import TEACHER, Teach, Teacher
from decoct.nets import zoo
from decoct.run.compute import Compute
from decoct.run.cost import total_cost
from decoct.run.storage.replaced import whole


@overload  # a str is a Sequence[str] as well; the first that fits counts
def teach(  # type: ignore[overload-overlap]
    net: str | Teach, data: Dataset | str, *, compute: Compute = ..., out: Path | None = ...
) -> dict[str, Any]: ...


@overload
def teach(
    net: Sequence[str | Teach], data: Dataset | str, *, compute: Compute = ..., out: Path | None = ...
) -> list[dict[str, Any]]: ...


def teach(
    net: str | Teach | Sequence[str | Teach],
    data: Dataset | str,
    *,
    compute: Compute = Compute(),
    out: Path | None = None,
) -> dict[str, Any] | list[dict[str, Any]]:
    """Train a teacher, or load weights, and put its accuracy on held-out images on record; or do so for several nets.

    Args:
        net: name of the net, or a ``Teach`` with its fields; or several of them, a committee.
        data: a data set or its name.
        compute: where and how.
        out: folder for a copy of ``weights.safetensors`` and ``teacher.json``, of several nets in a folder each; None
            for none.

    Returns:
        net, epochs, steps, stop_at, checkpoint, val_accuracy …, and the folder of its cell, or of the copy; a list of
        them for several nets.

    Raises:
        UsageError: unknown net, one twice, none, or ``out`` exists.
        DecoctError: weights do not fit, or ``stop_at`` is not reached.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: choose another folder")
    data = compute.loaded(data)
    several = [net] if (alone := isinstance(net, str | Teach)) else list(net)
    specs = [Teach(net=one) if isinstance(one, str) else one for one in several]
    nets = [zoo.resolve(spec.net, data.size) for spec in specs]
    if not nets or len(set(nets)) < len(nets):
        raise UsageError(f"give at least one net, and each once, not {nets}")
    planner = compute.planner(data, {spec.net: spec for spec in specs})
    jobs = [planner.job(Teacher(net=spec.net)) for spec in specs]
    store = compute.do(planner)
    folders = [store.cell("teacher", job.key) for job in jobs]
    if out is not None:
        with whole(out) as scratch:
            for name, folder in zip(nets, folders, strict=True):
                shutil.copytree(folder, scratch if alone else scratch / name)
    places = folders if out is None else [out if alone else out / name for name in nets]
    found = [
        {**read_json(folder / TEACHER), "folder": str(place)} for folder, place in zip(folders, places, strict=True)
    ]
    return found[0] if alone else found


def teach_generator(
    generator: str | TeachGenerator = "own",
    data: Dataset | str = "digits",
    *,
    compute: Compute = Compute(),
    out: Path | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Train a class-conditional diffusion model on the train split, or look whether one that is supplied fits the data.

    Args:
        generator: "own" to train one, "hub:NAME" for one in the hub's cache, a local folder in diffusers' layout; or a
            ``TeachGenerator`` with its fields.
        data: a data set or its name.
        compute: where and how.
        out: folder for a copy of what is stored: the weights of one that was trained, and ``generator.json``; such a
            folder is a generator itself. None for none.
        fields: of the training, such as ``epochs=8``.

    Returns:
        generator, steps, epochs, seen, loss, parameters, pixels …, what training or loading it took (``seconds``,
        ``cpu_seconds``), and the folder of its cell, or of the copy.

    Raises:
        UsageError: unknown field, ``out`` exists, images that are too large to train on or do not fit, or diffusers is
            not installed.
        DecoctError: a supplied one is not there, is damaged, or has other classes; or a loss that is not finite.
    """
    if out is not None and out.exists():
        raise UsageError(f"{out} exists: choose another folder")
    if isinstance(generator, TeachGenerator):
        fields = {**generator.model_dump(), **fields}
    else:
        fields = {"generator": generator, **fields}
    spec = build(TeachGenerator, fields, "generator")
    data = compute.loaded(data)
    planner = compute.planner(data, generators=[spec])
    job = planner.job(ImageGenerator(generator=spec.generator))
    store = compute.do(planner)
    folder = store.cell("generator", job.key)
    if out is not None:
        with whole(out) as scratch:
            shutil.copytree(folder, scratch)
    spent = total_cost(store, "generator", job.key)
    took = {"seconds": spent.seconds, "cpu_seconds": spent.cpu_seconds}
    return {**read_json(folder / CARD), **took, "folder": str(folder if out is None else out)}
