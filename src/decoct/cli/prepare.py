"""``decoct prepare``: decode a data set into the cache and check it against known numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from typer import Argument, Option

from decoct.cli import options
from decoct.cli.options import Json, Plugins, Settings, Skip
from decoct.console import answer, bars, err
from decoct.core.bounds import THREADS
from decoct.core.errors import UsageError

SHOWN = 5  # classes or files that are named


def prepare(
    name: Annotated[str, Argument(metavar="NAME", help="imagenet1k, imagenet100, imagenette, imagewoof, folder …")],
    origin: Annotated[
        str | None, Option("--from", metavar="PATH", help="Folder, archive, or hub:OWNER/NAME of the pictures.")
    ] = None,
    size: Annotated[int | None, Option(min=4, max=1024, help="Side of the images in pixels.")] = None,
    workers: Annotated[
        int | None, Option(min=1, max=THREADS, help="Processes that decode; default: one per core.")
    ] = None,
    settings: Settings = None,
    no_cache: Annotated[
        bool, Option("--no-cache", help="Leave pictures as they are stored; each pass decodes them.")
    ] = False,
    skip_corrupt: Skip = False,
    plugin: Plugins = None,
    json: Json = False,
) -> None:
    """Decode a data set into the cache, and check it. After a kill, the same command continues."""
    from decoct.data import dataset

    config: dict[str, Any] = {"name": name} | options.fields(settings)
    for key, value in (("path", origin), ("size", size), ("cache", False if no_cache else None)):
        if value is not None and key in config:
            raise UsageError(f"{key} is given twice, by an option and by --set")
        config |= {} if value is None else {key: value}
    source = dataset.parse_source(options.source(config, None, skip_corrupt, plugin or ()), plugin or ())
    with bars() as bar:

        def watch(title: str) -> Any:
            err.tell(title)
            return bar(title)

        root = dataset.default_store() / "data"
        data = dataset.prepare(source, root, bar(f"reading {name}"), workers, watch)
    facts = {
        "name": data.name,
        "digest": data.digest,
        "folder": str(data.folder),
        "images": {split: len(getattr(data, split)) for split in ("train", "val", "test")},
        "classes": len(data.class_names),
        "size": data.size,
        **({"said": data.said} if data.said else {}),
        "cached": isinstance(data.train.images, np.ndarray),
        "bytes": sum(file.stat().st_size for file in data.folder.iterdir()),
        "skipped": list(data.skipped),
        **{key: value for key, value in data.details.items() if key != "english"},
    }
    answer(json, facts, *lines(facts))


def lines(facts: Mapping[str, Any]) -> list[str]:
    """Describe a data set: what it is, where it is, what it lacks."""
    images = ", ".join(f"{count:,} {split}" for split, count in facts["images"].items())
    said = [f"{facts['name']}: {images} images of {facts['classes']:,} classes at {facts['size']} px"]
    said += [f"{facts['said']}; --size changes that"] if facts.get("said") else []
    said += [f"{facts['bytes'] / 1e9:,.2f} GB in {Path(facts['folder'])}"]
    if not facts["cached"]:
        said.append("no cache: pictures stay as they are stored, and each pass over them decodes them")
    if "layout" in facts:
        said += [f"read from {facts['layout']}, split as in {facts['split']}", *checked(facts)]
    if facts["skipped"]:
        why = facts.get("corrupt", {})
        few = [f"{file} ({why[file]})" if file in why else file for file in facts["skipped"][:SHOWN]]
        said.append(f"left out, since they do not decode: {some(few, len(facts['skipped']))}")
    return said


def checked(facts: Mapping[str, Any]) -> list[str]:
    """How the numbers of pictures compare with the known ones."""
    expected, found, incomplete = facts["expected"], facts["found"], facts["incomplete"]
    said = []
    for split, count in expected.items():
        differs = f", where {count:,} are known" if found[split] != count else ", all that are known"
        said.append(f"{found[split]:,} pictures in {split}{differs}")
    if incomplete:
        few = [f"{wnid} has {count:,} in {split}, not {known}" for split, wnid, count, known in incomplete[:SHOWN]]
        said.append(f"incomplete: {some(few, len(incomplete))}")
    elif facts["split"] == "ImageNet-1K":
        said.append("every class has as many pictures as in ImageNet-1K: 732 to 1,300 in train, 50 in val")
    return said


def some(few: list[str], count: int) -> str:
    """The first few of a list, and how many more there are."""
    return "; ".join(few) + (f"; and {count - len(few):,} more" if count > len(few) else "")
