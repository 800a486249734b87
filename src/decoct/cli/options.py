"""Options that several commands share, each defined once, and their meaning: a device, fields, seeds, teachers.

Options that belong together form a group, and a command takes the whole group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from decoct.console import err
from decoct.core.bounds import THREADS
from decoct.core.errors import UsageError
from decoct.core.notation import from_toml
from decoct.core.spec import find

StudyFile = Annotated[Path | None, Argument(metavar="[STUDY.toml]", help="Without it, the built-in study of digits.")]
Seed = Annotated[int | None, Option("--seed", help="Instead of the study's own.")]
Json = Annotated[bool, Option("--json", help="Print JSON on stdout, and nothing else there.")]
Everything = Annotated[bool, Option("--all", help="Print the other tables of the page as well.")]
Data = Annotated[str, Option("--data", help="digits, cifar10:PATH, folder:PATH …; see 'decoct ls data'.")]
Device = Annotated[str, Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[int, Option("--threads", min=1, max=THREADS, help="Threads of a job on the CPU; part of its key.")]
Plugins = Annotated[list[str] | None, Option("--plugin", help="Python file with further methods; may be repeated.")]
Settings = Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help="A field; may be repeated.")]
Size = Annotated[
    int | None, Option("--size", min=4, max=1024, help="Side in pixels to which pictures of a folder are resized.")
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

        config = source(data, self.size, self.skip_corrupt, plugins)
        loaded = load_data(config, plugins=plugins, progress=bar(f"reading {data}"))
        tell_read(loaded)
        return loaded


@dataclass
class Machine:
    """Where jobs compute."""

    device: Device = "auto"
    threads: Threads = 1
    workers: Annotated[
        int | None,
        Option("--workers", min=1, max=THREADS, help="Jobs at once, if several can run; default: the cores, on a CPU."),
    ] = None

    def compute(self, bar: Any, plugins: Sequence[str] = ()) -> Any:
        """A ``decoct.api.Compute`` that shows each job with a bar."""
        from decoct.api import Compute
        from decoct.study.device import resolve
        from decoct.study.execute import cores

        def watch(job: Any) -> Any:
            who = job.labels.get("net") or job.labels.get("extractor") or job.labels.get("method", "")
            return bar(f"{job.kind} {who}".strip())

        where = resolve(self.device)
        workers = self.workers or (max(1, cores() // self.threads) if where == "cpu" else 1)
        return Compute(where, self.threads, plugins=tuple(plugins), watch=watch, workers=workers)


@dataclass
class Work(Machine):
    """Where jobs compute, and what the user supplies: methods, and weights of teachers."""

    plugin: Plugins = None
    teacher: Annotated[
        list[str] | None,
        Option("--teacher", metavar="NET=FILE", help="Load a teacher's weights instead of training it."),
    ] = None

    @property
    def plugins(self) -> Sequence[str]:
        """Files with further methods."""
        return self.plugin or ()

    def using(self, bar: Any) -> dict[str, Any]:
        """What functions of ``decoct.api`` take of it."""
        return {"compute": self.compute(bar, self.plugins), "teachers": teachers(self.teacher)}


@dataclass
class Format:
    """How an external set is stored, where its file does not say so."""

    normalised: Annotated[
        str | None,
        Option("--normalised", metavar="HOW", help="Of an external set's float images: data, imagenet, zca or none."),
    ] = None
    layout: Annotated[
        str | None, Option("--layout", metavar="AXES", help="Of an external set's images: NCHW or NHWC.")
    ] = None
    resize: Annotated[bool, Option("--resize", help="Resize an external set's images to the data's size.")] = False
    number: Annotated[int | None, Option("--number", min=0, help="Which set of a file that holds several, from 0.")] = (
        None
    )
    split: Annotated[str, Option("--split", help="Of an external set that has several.")] = "train"

    def checked(self) -> Any:
        """The ``SetFormat`` that the options mean; a UsageError for a word that is none of those allowed."""
        from decoct.core.spec import build
        from decoct.data.external.stored import SetFormat

        return build(SetFormat, vars(self), "the set's format")


def asked_for(file: Path | None, seed: int | None, size: int | None, skip_corrupt: bool) -> Any:
    """The study of a file, or the built-in one, with what was said beside it."""
    from decoct.study.study import Study

    study = Study.default() if file is None else Study.from_toml(file)
    data = source(study.data, size, skip_corrupt, study.plugins)
    return study.model_copy(update={"data": data} | ({} if seed is None else {"seed": seed}))


def check_target(target: Path, force: bool, *read: Path) -> None:
    """Raise a UsageError if nothing can be made at ``target``, or the user or what is read is in its way."""
    from decoct.core.owned import check_free

    check_free(target, force)
    here, given = target.resolve(), [path.resolve() for path in read]
    if Path.cwd().is_relative_to(here) or any(here.is_relative_to(p) or p.is_relative_to(here) for p in given):
        raise UsageError(f"--out {target} is the current folder, or holds the set or lies in it: choose another place")


def tell_read(data: Any) -> None:
    """Say on stderr what size pictures were given, where nobody said one, and which files were left out."""
    if data.said:
        err.tell(f"{data.name}: {data.said}; --size changes that")
    if data.skipped:
        few = ", ".join(data.skipped[:3]) + (" …" if len(data.skipped) > 3 else "")
        images = "1 image that does" if len(data.skipped) == 1 else f"{len(data.skipped)} images that do"
        err.tell(f"left out {images} not decode: {few}")


def place(on: str | None, workers: int | None, word: str, threads: int, address: str | None, gpus: Any = None) -> Any:
    """The ``Place`` that the words of a command line mean; a UsageError if they do not go together.

    Without ``on`` it is what suits the workers; without those, the cores or GPUs of this machine, or all of a cluster,
    whose device need not be on this machine.
    """
    import torch

    from decoct.study.device import resolve
    from decoct.study.execute import cores
    from decoct.study.workers.gpus import visible_gpus
    from decoct.study.workers.place import Place

    where = word if address is not None and word == "cuda" else resolve(word)
    visible = visible_gpus(torch.cuda.device_count()) if where == "cuda" else ()
    of_kinds, room = shares(gpus), max(1, cores() // threads)
    if workers is None and address is None:
        shared = where == "cuda" and on != "ray"  # each worker takes a GPU; Ray hands them out itself
        each = most_at_once(of_kinds.values())
        workers = len(visible) * each if shared else room if where == "cpu" or on == "ray" else 1
        workers = 1 if on == "inline" else workers
    beside = max(1, room - (workers or 0))
    return Place(on, workers, where, visible, of_kinds, address, beside)  # type: ignore[arg-type]


def most_at_once(shares: Iterable[float]) -> int:
    """How many jobs with the smallest of some shares fit on one GPU; one where none is below 1."""
    return int(1 / min((share for share in shares if 0 < share < 1), default=1.0) + 1e-9)


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
    """The data at another size, or without files that do not decode; a UsageError if it reads no pictures."""
    asked: dict[str, Any] = {"size": size, "skip_corrupt": skip_corrupt}
    changed = {field: value for field, value in asked.items() if value}
    config: dict[str, Any] = {"name": data} if isinstance(data, str) else dict(data)
    name = str(config.get("name")).partition(":")[0]
    for field in changed:
        if field not in find("source", name, plugins).model_fields:
            raise UsageError(f"--{field.replace('_', '-')} is for folders of pictures; {name} has none")
    return config | changed if changed else data


def fields(settings: Sequence[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` words as in ``pairs``; a value is TOML where it parses as such, else text."""
    config: dict[str, Any] = {}
    for key, value in pairs(settings, "--set", "KEY=VALUE").items():
        if key == "name":
            raise UsageError("--set name: the method is named before")
        try:
            parsed = from_toml(f"value = {value}")
        except ValueError:
            parsed = {}
        config[key] = parsed["value"] if len(parsed) == 1 else value  # a line break may start another key
    return config


def seeds(word: str) -> tuple[int, ...]:
    """Numbers with commas between; a UsageError if they are not."""
    try:
        return tuple(int(number) for number in word.split(","))
    except ValueError:
        raise UsageError(f"--seeds takes whole numbers separated by commas, not '{word}'") from None


def teachers(words: Sequence[str] | None) -> dict[str, Any]:
    """``NET=FILE`` words, as in ``pairs``, as teachers that are loaded, by net; a UsageError if a file is missing."""
    from decoct.needs.teacher import Teach

    files = pairs(words, "--teacher", "NET=FILE")
    return {net: Teach(net=net, checkpoint=file).pinned() for net, file in files.items()}
