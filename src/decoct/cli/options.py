"""Options that commands share, and what a command makes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from decoct.cli import words
from decoct.console import err

StudyFile = Annotated[
    Path | None, typer.Argument(metavar="[STUDY.toml]", help="Without it, the built-in study of digits.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Instead of the study's own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Data = Annotated[str, typer.Option("--data", help="digits, cifar10:PATH, folder:PATH …; see 'decoct ls data'.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of a job on the CPU; part of what is stored.")]
Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", help="Python file with further methods; may be repeated.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A field; may be repeated.")]
Size = Annotated[
    int | None, typer.Option("--size", min=4, max=1024, help="Side in pixels that pictures of a folder are brought to.")
]
Skip = Annotated[bool, typer.Option("--skip-corrupt", help="Leave out, count and list images that do not decode.")]
Checkpoints = Annotated[
    list[str] | None, typer.Option("--teacher", metavar="NET=FILE", help="Load a teacher's weights, not train it.")
]

Set = Annotated[
    Path,
    typer.Argument(
        metavar="SET", help="A saved set, class folders, .npz, .safetensors, .pt, Parquet or hub:OWNER/NAME."
    ),
]
Normalised = Annotated[
    str | None,
    typer.Option("--normalised", metavar="HOW", help="Of a foreign set's float images: data, imagenet or none."),
]
Layout = Annotated[
    str | None, typer.Option("--layout", metavar="AXES", help="Of a foreign set's images: NCHW or NHWC.")
]
Resize = Annotated[bool, typer.Option("--resize", help="Resize a foreign set's images to the data's size.")]
Number = Annotated[int | None, typer.Option("--number", min=0, help="Which set of a file that holds several, from 0.")]
Split = Annotated[str, typer.Option("--split", help="Of a foreign set that has several.")]


def set_format(normalised: str | None, layout: str | None, resize: bool, number: int | None, split: str) -> Any:
    """The ``SetFormat`` that the options mean.

    Raises:
        UsageError: a word that is none of those allowed.
    """
    from decoct.core.spec import build
    from decoct.data.foreign.stored import SetFormat

    said = {"normalised": normalised, "layout": layout, "resize": resize, "number": number, "split": split}
    return build(SetFormat, said, "the set's format")


def asked_for(file: Path | None, seed: int | None, size: int | None, skip_corrupt: bool) -> Any:
    """The study of a file, or the built-in one, with what was said beside it."""
    from decoct.run.study import Study

    study = Study.default() if file is None else Study.from_toml(file)
    data = words.source(study.data, size, skip_corrupt, study.plugins)
    return study.model_copy(update={"data": data} | ({} if seed is None else {"seed": seed}))


def compute_on(bar: Any, device: str, threads: int, plugins: Sequence[str] = ()) -> Any:
    """A ``decoct.api.Compute`` that shows each job with a bar."""
    from decoct.api import Compute

    def watch(job: Any) -> Any:
        who = job.labels.get("net") or job.labels.get("extractor") or job.labels.get("method", "")
        return bar(f"{job.kind} {who}".strip())

    return Compute(device=words.device(device), threads=threads, plugins=tuple(plugins), watch=watch)


def load(data: str, size: int | None, skip_corrupt: bool, bar: Any, plugins: Sequence[str] = ()) -> Any:
    """The data set that DATA means."""
    from decoct.data.dataset import load_data

    source = words.source(data, size, skip_corrupt, plugins)
    loaded = load_data(source, plugins=plugins, progress=bar(f"reading {data}"))
    tell_read(loaded)
    return loaded


def tell_read(data: Any) -> None:
    """Say on stderr what size pictures were given, where nobody said one, and which files were left out."""
    if data.said:
        err.print(f"{data.name}: {data.said}; --size changes that", markup=False, soft_wrap=True)
    if data.skipped:
        few = ", ".join(data.skipped[:3]) + (" …" if len(data.skipped) > 3 else "")
        images = "1 image that does" if len(data.skipped) == 1 else f"{len(data.skipped)} images that do"
        err.print(f"left out {images} not decode: {few}", markup=False, soft_wrap=True)
