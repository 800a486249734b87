"""``decoct shrink``: which of my images do I need?"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from decoct.cli import options
from decoct.cli.options import Device, Force, Json, check_target
from decoct.console import answer, bars, err, fail
from decoct.core.bounds import THREADS
from decoct.core.errors import UsageError


def shrink(
    data: Annotated[
        str,
        Argument(
            metavar="DATA",
            help="Class folders, a .csv of paths and labels, .tar shards, hub:OWNER/NAME, or a data set by name.",
        ),
    ],
    within: Annotated[
        str | None,
        Option(metavar="X", help="The smallest set shown to be within X points, or 'X%', of all images."),
    ] = None,
    images: Annotated[int | None, Option(min=1, help="Or the best set of so many images.")] = None,
    fraction: Annotated[float | None, Option(help="Or of such a share, such as 0.2.")] = None,
    worst: Annotated[float | None, Option(metavar="X", help="No class may lose more than X points.")] = None,
    minutes: Annotated[
        float | None, Option(help="Plan for so many minutes; default: 10. What is open then is said.")
    ] = None,
    student: Annotated[
        str | None,
        Option(help="What you train: a net's name, timm:NAME, or package.module:make; default: one that fits."),
    ] = None,
    protocol: Annotated[
        str | None,
        Option(help="scratch, finetune or probe; default: probe where pretrained weights are at hand, else scratch."),
    ] = None,
    extractor: Annotated[
        str | None, Option(help="Whose frozen features probe uses: dinov2_s, clip, timm:NAME[@FILE] or FILE.npy.")
    ] = None,
    method: Annotated[list[str] | None, Option("--method", help="That races; may be repeated; default: eight.")] = None,
    distil: Annotated[
        list[str] | None,
        Option(metavar="METHOD", help="Also race sets whose images are made: dm, dc or dsa; may be repeated."),
    ] = None,
    settings: Annotated[
        list[str] | None, Option("--set", metavar="KEY=VALUE", help="A parameter of --distil; may be repeated.")
    ] = None,
    keep: Annotated[Path | None, Option(metavar="LIST", help="Paths, or a kept.csv, that the set is to have.")] = None,
    groups: Annotated[
        str | None,
        Option(metavar="COLUMN|REGEX", help="What stays on one side of each split: patients, videos …"),
    ] = None,
    folder: Annotated[Path, Option("--out", help="Folder of the set, the lists and the page.")] = Path("small"),
    way: Annotated[str, Option("--as", help="copy, symlink, hardlink, or list for the lists alone.")] = "copy",
    check: Annotated[bool, Option("--check", help="Only say what is wrong with the images; trains nothing.")] = False,
    size: Annotated[
        int | None, Option("--size", min=4, max=1024, help="Side in pixels at which students see the images.")
    ] = None,
    folds: Annotated[
        int | None,
        Option(min=1, max=100, help="Where there is no test folder; default: 5, or 1 from 50,000 images on."),
    ] = None,
    seed: Annotated[int, Option(help="Of every draw.")] = 0,
    workers: Annotated[int | None, Option(min=1, max=THREADS, help="Trainings at once; default: the cores.")] = None,
    device: Device = "auto",
    on: Annotated[str | None, Option(metavar="PLACE", help="inline, pool or ray; default: pool.")] = None,
    address: Annotated[str | None, Option(help="HOST:PORT of a Ray cluster, or auto.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Find the smallest set of your images that trains your model as well. Started again, it continues."""
    from decoct.shrinking.asked import Asked
    from decoct.shrinking.run import run
    from decoct.shrinking.written.terminal import terminal

    asked = Asked.of(within=within, images=images, fraction=fraction, worst=worst, minutes=minutes)
    fields = options.fields(settings)
    if fields and not distil:
        raise UsageError("--set is for the methods of --distil: name one, such as --distil dm")
    place = options.place(on, workers, device, 1, address)
    if not check:
        check_target(folder, force, *([Path(data)] if Path(data).exists() else []))
    with bars() as bar:
        found = run(
            data,
            asked,
            out=None if check else folder,
            way=way,
            student=student,
            protocol=protocol,
            extractor=extractor,
            methods=tuple(method or ()),
            distil=tuple({"name": name, **fields} for name in distil or ()),
            keep=keep,
            groups=groups,
            size=size,
            parts=folds,
            seed=seed,
            place=place,
            only_check=check,
            force=force,
            bar=bar,
            say=err.tell,
        )
    answer(json, found.to_json(), terminal(found))
    if found.unfinished:
        fail(f"{found.unfinished}; the same command continues", 130)
