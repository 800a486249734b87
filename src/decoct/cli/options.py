"""Options that several commands take, each said once; those that go together are a group, which is taken whole."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from decoct.cli import words
from decoct.console import err
from decoct.core.errors import UsageError

StudyFile = Annotated[Path | None, Argument(metavar="[STUDY.toml]", help="Without it, the built-in study of digits.")]
Seed = Annotated[int | None, Option("--seed", help="Instead of the study's own.")]
Json = Annotated[bool, Option("--json", help="Print JSON on stdout, and nothing else there.")]
Data = Annotated[str, Option("--data", help="digits, cifar10:PATH, folder:PATH …; see 'decoct ls data'.")]
Device = Annotated[str, Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int, Option("--threads", min=1, help="Threads of a job on the CPU; part of what is stored.")]
Plugins = Annotated[list[str] | None, Option("--plugin", help="Python file with further methods; may be repeated.")]
Settings = Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="A field; may be repeated.")]
Size = Annotated[
    int | None, Option("--size", min=4, max=1024, help="Side in pixels that pictures of a folder are brought to.")
]
Skip = Annotated[bool, Option("--skip-corrupt", help="Leave out, count and list images that do not decode.")]
Force = Annotated[bool, Option("--force", help="Replace what decoct made at --out.")]
Set = Annotated[
    Path,
    Argument(metavar="SET", help="A saved set, class folders, .npz, .safetensors, .pt, Parquet or hub:OWNER/NAME."),
]


@dataclass
class Pictures:
    """How pictures of a folder are read."""

    size: Size = None
    skip_corrupt: Skip = False

    def load(self, data: str, bar: Any, plugins: Sequence[str] = ()) -> Any:
        """The data set that DATA means."""
        from decoct.data.dataset import load_data

        source = words.source(data, self.size, self.skip_corrupt, plugins)
        loaded = load_data(source, plugins=plugins, progress=bar(f"reading {data}"))
        tell_read(loaded)
        return loaded


@dataclass
class Machine:
    """Where jobs compute."""

    device: Device = "auto"
    threads: Threads = 1

    def compute(self, bar: Any, plugins: Sequence[str] = ()) -> Any:
        """A ``decoct.api.Compute`` that shows each job with a bar."""
        from decoct.api import Compute

        def watch(job: Any) -> Any:
            who = job.labels.get("net") or job.labels.get("extractor") or job.labels.get("method", "")
            return bar(f"{job.kind} {who}".strip())

        return Compute(words.device(self.device), self.threads, plugins=tuple(plugins), watch=watch)


@dataclass
class Work(Machine):
    """Where jobs compute, and what the user brings along: methods, and weights of teachers."""

    plugin: Plugins = None
    teacher: Annotated[
        list[str] | None, Option("--teacher", metavar="NET=FILE", help="Load a teacher's weights, not train it.")
    ] = None

    @property
    def plugins(self) -> Sequence[str]:
        """Files with further methods."""
        return self.plugin or ()

    def using(self, bar: Any) -> dict[str, Any]:
        """What functions of ``decoct.api`` take of it."""
        return {"compute": self.compute(bar, self.plugins), "teachers": words.teachers(self.teacher)}


@dataclass
class Format:
    """How an external set is stored, where its file does not say so."""

    normalised: Annotated[
        str | None,
        Option("--normalised", metavar="HOW", help="Of a foreign set's float images: data, imagenet or none."),
    ] = None
    layout: Annotated[
        str | None, Option("--layout", metavar="AXES", help="Of a foreign set's images: NCHW or NHWC.")
    ] = None
    resize: Annotated[bool, Option("--resize", help="Resize a foreign set's images to the data's size.")] = False
    number: Annotated[int | None, Option("--number", min=0, help="Which set of a file that holds several, from 0.")] = (
        None
    )
    split: Annotated[str, Option("--split", help="Of a foreign set that has several.")] = "train"

    def checked(self) -> Any:
        """The ``SetFormat`` that the options mean; a UsageError for a word that is none of those allowed."""
        from decoct.core.spec import build
        from decoct.data.foreign.stored import SetFormat

        return build(SetFormat, vars(self), "the set's format")


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the options of its groups one by one, in the groups' places: Typer knows no groups."""
    own = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)}

    @wraps(command)
    def called(**given: Any) -> None:
        made = {n: group(**{each.name: given.pop(each.name) for each in fields(group)}) for n, group in groups.items()}
        command(**given, **made)

    laid: list[inspect.Parameter] = []
    for name, each in own.items():
        inner = inspect.signature(groups[name], eval_str=True).parameters.values() if name in groups else [each]
        laid += [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in inner]
    called.__signature__ = inspect.Signature(laid)  # type: ignore[attr-defined]
    called.__annotations__ = {option.name: option.annotation for option in laid}
    return called


def asked_for(file: Path | None, seed: int | None, size: int | None, skip_corrupt: bool) -> Any:
    """The study of a file, or the built-in one, with what was said beside it."""
    from decoct.run.study import Study

    study = Study.default() if file is None else Study.from_toml(file)
    data = words.source(study.data, size, skip_corrupt, study.plugins)
    return study.model_copy(update={"data": data} | ({} if seed is None else {"seed": seed}))


def check_target(target: Path, force: bool, *read: Path) -> None:
    """Raise a UsageError if nothing can be made at ``target``, or the user or what is read is in its way."""
    from decoct.core.owned import check_free

    check_free(target, force)
    here, given = target.resolve(), [path.resolve() for path in read]
    if Path.cwd().is_relative_to(here) or any(here.is_relative_to(p) or p.is_relative_to(here) for p in given):
        raise UsageError(f"--out {target} is where you are, holds the set or lies in it: choose a place of its own")


def tell_read(data: Any) -> None:
    """Say on stderr what size pictures were given, where nobody said one, and which files were left out."""
    if data.said:
        err.tell(f"{data.name}: {data.said}; --size changes that")
    if data.skipped:
        few = ", ".join(data.skipped[:3]) + (" …" if len(data.skipped) > 3 else "")
        images = "1 image that does" if len(data.skipped) == 1 else f"{len(data.skipped)} images that do"
        err.tell(f"left out {images} not decode: {few}")
