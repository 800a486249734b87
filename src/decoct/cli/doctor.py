"""What is installed, what this machine has, which weights are at hand, and what is missing for what."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from typer import Exit

from decoct import __version__
from decoct.cli.options import Json
from decoct.console import answer
from decoct.core.errors import first_line

EXTRAS = {  # what each is for; CONTRIBUTING has those of developers
    "offline": "an extractor that needs no download, timm:tf_efficientnet_lite0",
    "hub": "data sets of the hub, hub:NAME",
    "diffusion": "generative methods, decoct teach --generator",
    "ray": "clusters, --on ray",
    "remote": "stores at s3://",
    "mlflow": "decoct export RUN --to mlflow",
}
LOADED = ("torch", "torchvision", "timm")  # which fail where they do not fit each other, or this machine
LITTLE = 2 * 10**9  # bytes of a disk that a study soon fills
DRIVER = Path("/proc/driver/nvidia/version")

Facts = dict[str, Any]


def doctor(json: Json = False) -> None:
    """Say what is installed, which devices and weights there are, and what is missing; nothing is fetched."""
    broken = {name: said for name in LOADED if (said := _broken(name))}
    facts = {
        "decoct": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **packages(),
        "broken": broken,
        "machine": {} if broken else machine(),
        "store": store(),
        "weights": {} if broken else weights(),
        "generators": [] if broken else generators(),
    }
    found = list(problems(facts))
    answer(json, facts | {"problems": found}, *lines(facts), *(found and ["\nproblems", *(f"  {p}" for p in found)]))
    if found:
        raise Exit(1)


def packages() -> Facts:
    """Of what decoct needs, and of each extra: what is asked for, and which version is there."""
    from packaging.requirements import Requirement

    needed: dict[str, Facts] = {}
    extras: dict[str, dict[str, Facts]] = {name: {} for name in EXTRAS}
    for line in _requires():
        wanted = Requirement(line)
        version = _version(wanted.name)
        fits = version is not None and wanted.specifier.contains(version, prereleases=True)
        said = {"wanted": str(wanted.specifier), "version": version, "fits": fits}
        if wanted.marker is None:
            needed[wanted.name] = said
        for name in EXTRAS if wanted.marker else ():
            if wanted.marker and wanted.marker.evaluate({"extra": name}):
                extras[name][wanted.name] = said
    return {"packages": needed, "extras": extras}


def machine() -> Facts:
    """Processors, memory in bytes, GPUs or why there is none, and the compiler of ``compile = true``."""
    import psutil
    import torch
    from torch.utils._triton import has_triton

    from decoct.data.reading.parallel import cores
    from decoct.nets.precision import NATIVE
    from decoct.study.device import no_cuda

    gpus, why = [], ""
    if torch.cuda.is_available():
        for each in map(torch.cuda.get_device_properties, range(torch.cuda.device_count())):
            gpus.append({"name": each.name, "memory": each.total_memory, "bfloat16": each.major >= 8})
        compiler = "triton" if has_triton() else None
    else:
        if not torch.backends.mps.is_available():
            why = no_cuda()
        compiler = shutil.which(os.environ.get("CXX") or "g++")
    return {
        "cores": cores(),
        "bfloat16": NATIVE,
        "memory": psutil.virtual_memory().total,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
        "no_gpu": why,
        "driver": DRIVER.exists(),
        "compiler": compiler,
    }


def store() -> Facts:
    """Where cells lie; of a folder, whether it can be written and the bytes that its disk has free."""
    from decoct.core.cells import default_where, is_url

    where = default_where()
    if is_url(where):
        return {"where": where}
    there = next(each for each in (Path(where), *Path(where).parents) if each.exists())
    writable = there.is_dir() and os.access(there, os.W_OK)
    return {"where": where, "free": shutil.disk_usage(there).free, "writable": writable}


def weights() -> dict[str, str | None]:
    """Of each extractor with a short name, and of the one in the extra ``offline``: the file at hand, or None."""
    from decoct.nets import backbone
    from decoct.nets.standard import STANDARD, TIMM

    files = {name: backbone.kept(name) for name in STANDARD}
    files[TIMM + backbone.PACKAGED] = backbone.packaged(backbone.PACKAGED)
    return {name: None if file is None else str(file) for name, file in files.items()}


def generators() -> list[str]:
    """Diffusion models in the hub's cache."""
    from huggingface_hub import constants

    found = Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/model_index.json")
    return sorted({file.parts[-4].removeprefix("models--").replace("--", "/") for file in found})


def problems(facts: Facts) -> Iterator[str]:
    """What is to be mended, and how."""
    for name, said in facts["packages"].items():
        if not said["fits"]:
            yield f"{name} is {said['version'] or 'missing'}: pip install '{name}{said['wanted']}'"
    for name, said in facts["broken"].items():
        yield f"{name} cannot be loaded: {said}"
    own = facts["machine"]
    if own.get("driver") and not own["gpus"]:
        yield f"this machine has an NVIDIA driver, but torch sees no GPU: {own['no_gpu']}"
    where, room = facts["store"]["where"], facts["store"].get("free")
    if not facts["store"].get("writable", True):
        yield f"{where} cannot be written: let DECOCT_STORE name a folder that can"
    elif room is not None and room < LITTLE:
        yield f"the disk of {where} is almost full: let DECOCT_STORE name a folder on a larger one"


def lines(facts: Facts) -> Iterator[str]:
    """The facts as a person reads them."""
    from decoct.report.wording import size

    yield f"decoct {facts['decoct']}, Python {facts['python']} in {sys.prefix}, {facts['system']}"
    yield "\nmachine"
    if own := facts["machine"]:
        cores = f"{own['cores']} {'core' if own['cores'] == 1 else 'cores'}"
        half = "" if own["bfloat16"] else ", bfloat16 by way of float32"
        yield f"  processor  {cores}, {size(own['memory'])} of memory{half}"
        for gpu in own["gpus"]:
            yield f"  GPU        {gpu['name']}, {size(gpu['memory'])}{'' if gpu['bfloat16'] else ', no bfloat16'}"
        if own["mps"] or own["no_gpu"]:
            yield "  GPU        " + (f"none: {own['no_gpu']}" if own["no_gpu"] else "Apple's, --device mps")
        yield f"  compiler   {own['compiler'] or 'none: compile = true would fail'}"
    free = facts["store"].get("free")
    yield f"  store      {facts['store']['where']}{'' if free is None else f', {size(free)} free'}"
    yield "\npackages"
    yield "  " + ", ".join(f"{name} {said['version'] or 'missing'}" for name, said in facts["packages"].items())
    yield "\nextras"
    for name, inside in facts["extras"].items():
        there = all(said["fits"] for said in inside.values())
        yield f"  {name:9}  {EXTRAS[name]}: " + ("yes" if there else f"no, pip install 'decoct[{name}]'")
    if not facts["weights"]:
        return
    yield "\nweights at hand"
    width = max(map(len, facts["weights"]))
    for name, file in (facts["weights"] | {"generators": ", ".join(facts["generators"])}).items():
        yield f"  {name:{width}}  {file or 'no'}"


def _requires() -> list[str]:
    try:
        return metadata.requires("decoct") or []
    except metadata.PackageNotFoundError:  # its source is on the path, and it is not installed
        return []


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _broken(name: str) -> str:
    """Why a package cannot be loaded; "" where it can."""
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever its libraries raise
        return first_line(error)
    return ""
