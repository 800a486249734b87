"""Parts shared by the sources of ImageNet-1K and its subsets: classes, known counts, and reading from any layout."""

import functools
import hashlib
import os
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.machine import STRAINED, blame
from decoct.core.seeds import seed
from decoct.core.spec import digest
from decoct.data.cache import SPLITS
from decoct.data.imagenet import blocks, index
from decoct.data.imagenet.index import Index
from decoct.data.imagenet.layout import Layout
from decoct.data.imagenet.recognise import recognise
from decoct.data.imagenet.uncached import Uncached, survey
from decoct.data.reading.decode import undecodable
from decoct.data.reading.snapshot import HUB
from decoct.data.source import LargeSource, Part, Raw, Survey, Watch

ILSVRC, FASTAI = "ImageNet-1K", "fastai"  # whose split of the pictures it is
LEAST, MOST, VAL = 732, 1300, 50  # pictures of a class in ImageNet-1K's train, and in its val
LISTED, INDEX, CORRUPT = "listed.jsonl", "index.parquet", "corrupt.txt"


class ImageNet(LargeSource):
    """ImageNet-1K, or some of its classes, from folders, tars, shards or the hub; a class is called by its WordNet id.

    Train is ImageNet's train without the val that is held out of it; test is ImageNet's val. Images are made as
    ``folder`` makes them: the shorter side resized to ``size``, the centre cropped, three channels.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path", "skip_corrupt"})
    classes: ClassVar[tuple[str, ...]] = ()  # their WordNet ids, ascending; empty for all of ImageNet-1K's
    expected: ClassVar[Mapping[str, tuple[int, int]]]  # pictures of train and val in all, by whose split it is

    path: str  # a folder, an archive, or hub:OWNER/NAME
    size: int = Field(default=224, ge=4, le=1024)  # side in pixels
    cache: bool = True  # false: pictures stay as they are stored, and each pass over them decodes them

    @classmethod
    def wnids(cls) -> tuple[str, ...]:
        """WordNet ids of the classes, ascending: that is the order of the labels."""
        return cls.classes or wnids()

    def glance(self) -> str:
        """Digest of the layout's files: names, sizes, times. Changing a file changes its time."""
        layout = self.layout()
        try:
            facts = [(_below(file, layout.root), file.stat()) for file in layout.files()]
        except OSError as error:
            blame(error, STRAINED)
            raise DecoctError(f"cannot read {error.filename}: {error.strerror or error}") from error
        return digest([layout.title, *sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in facts)])

    def index(self, folder: Path, workers: int, watch: Watch) -> dict[str, Any]:
        """Read every picture's bytes once; the index of them is kept in ``folder``.

        Without a cache, the order of the pictures in the layout is content: features are rounded by who is beside whom.
        """
        listed = index.load(folder / INDEX)
        if listed is None:
            layout = self.layout()
            bar = watch(f"listing {layout.root} ({layout.title})")
            listed = index.make(layout, self.wnids(), workers, bar, folder / LISTED)
            index.save(listed, folder / INDEX)
        order = {} if self.cache else {"order": hashlib.sha256(listed.stored.tobytes()).hexdigest()}
        return listed.manifest(self.wnids()) | order

    def keyed(self) -> dict[str, Any]:
        """The identity; where the pictures are belongs to it only if they stay there."""
        return super().keyed() | ({} if self.cache else {"place": self._placed()["path"]})

    def decode(self, manifest: dict[str, Any], folder: Path, workers: int, watch: Watch) -> Raw:
        """Decode what was listed into the files that become the cache; without one, decode it and keep nothing.

        Raises:
            DecoctError: it does not fit the disk; pictures do not decode (unless ``skip_corrupt``), or none of a class.
        """
        listed = index.load(folder / INDEX)
        assert listed is not None
        layout, names = self.layout(), self.wnids()
        release = self.release_of(listed, layout)
        part = blocks.planned(listed, self.val_fraction, seed(self.split_seed, "val"), names)
        what, room = f"{len(listed):,} images at {self.size} px", blocks.needed(len(listed), self.size) / 1e9
        known = None
        if self.cache:
            bar = watch(f"decoding {what} into {room:,.1f} GB")
            bad = blocks.write(layout, listed, part, self.size, folder, workers, bar)
        else:
            bar = watch(f"decoding {what} for their statistics; nothing of them is kept")
            every = Uncached(len(listed), self.size, partial(_pair, layout, listed))
            bad, histogram = survey(every, part == 0, workers, bar)
            known = Survey(digest([manifest, self.size]), histogram, self._placed())
        rows = sorted(bad)
        files = listed.files(names, np.array(rows, dtype=np.int64))
        corrupt = {file: bad[row] for file, row in zip(files, rows, strict=True)}
        if corrupt and not self.skip_corrupt:
            (folder / CORRUPT).write_text("".join(f"{file}\t{why}\n" for file, why in corrupt.items()), "utf-8")
            raise DecoctError(undecodable(str(layout.root), corrupt, len(listed), folder / CORRUPT))
        parts = self._parts(layout, listed, part, folder, rows)
        trained = np.concatenate([parts["train"].labels, parts["val"].labels])
        details = {
            "layout": layout.title,
            "split": release,
            "english": [english()[name] for name in names],
            "corrupt": corrupt,
            **self.verified(release, trained, parts["test"].labels),
        }
        return Raw(names, parts, tuple(sorted(corrupt)), self.called(release), details, known)

    def _parts(
        self, layout: Layout, listed: Index, part: NDArray[np.int64], folder: Path, bad: list[int]
    ) -> dict[str, Part]:
        """The parts as the cache takes them, without the rows that do not decode."""
        good, parts = np.ones(len(listed), dtype=bool), {}
        good[bad] = False
        for which, name in enumerate(SPLITS):
            rows = np.flatnonzero(part == which)
            keep, rows = good[rows], rows[good[rows]]
            images: Any
            if self.cache:
                file = folder / f"{name}.images.npy"
                if not keep.all():
                    blocks.close_up(file, keep)
                images = arrayfile.read(file)
            else:
                file, images = None, Uncached(len(rows), self.size, partial(_pair, layout, listed.taken(rows)))
            parts[name] = Part(images, listed.label[rows], np.arange(len(rows)), listed.files(self.wnids(), rows), file)
        return parts

    def uncached(self, listed: Path, count: int) -> Uncached:
        """The images of one part, from the list that was saved of them."""
        return Uncached(count, self.size, partial(_opened, self, listed))

    def _placed(self) -> dict[str, Any]:
        """Its fields, from wherever they are read."""
        whole = self.path if self.path.startswith(HUB) else str(Path(self.path).expanduser().absolute())
        return self.config() | {"path": whole}

    def layout(self) -> Layout:
        """The layout of what lies at ``path``."""
        return recognise(self.path, wnids(), self.wnids())

    def called(self, release: str) -> str:
        """Title of the data set."""
        return self.title

    def release_of(self, listed: Index, layout: Layout) -> str:
        """Whose split of the pictures it is.

        Raises:
            DecoctError: not one that this source is cut from.
        """
        if stray := strays(listed):
            raise DecoctError(
                f"val of {layout.root} holds pictures of ImageNet-1K's train, such as {stray[0]}\n"
                f"{self.name} is tested on ILSVRC2012's own val; fastai's splits are known as imagenette and imagewoof"
            )
        return ILSVRC

    def verified(self, release: str, train: NDArray[np.int64], val: NDArray[np.int64]) -> dict[str, Any]:
        """How the numbers of labels compare with what is known of a release.

        Returns:
            expected: pictures in all by split, or an empty dict; found: likewise; incomplete: classes whose number is
            none that ImageNet-1K has, as [split, WordNet id, pictures, what is known].
        """
        total = self.expected.get(release)
        incomplete: list[tuple[str, str, int, str]] = []
        for split, labels in (("train", train), ("val", val)):
            counts = np.bincount(labels, minlength=len(self.wnids())).tolist()
            if empty := [name for name, count in zip(self.wnids(), counts, strict=True) if not count]:
                raise DecoctError(f"class {empty[0]} has no picture in {split} that decodes: get it again")
            low, high = (LEAST, MOST) if split == "train" else (VAL, VAL)
            known = f"{low:,} to {high:,}" if low < high else str(low)
            if release == ILSVRC:
                each = zip(self.wnids(), counts, strict=True)
                incomplete += [(split, name, count, known) for name, count in each if not low <= count <= high]
        return {
            "expected": dict(zip(("train", "val"), total, strict=True)) if total else {},
            "found": {"train": len(train), "val": len(val)},
            "incomplete": incomplete,
        }


class TenClasses(ImageNet):
    """Ten classes in fastai's split or in ImageNet-1K's; the data set's name says which, since numbers differ.

    fastai put the pictures of ImageNet-1K's train and val together and redivided them, so that its val holds names
    of train. That is how it is recognised, in whatever folder it lies.
    """

    release: Literal["auto", "fastai", "imagenet1k"] = "auto"  # whose split it must be; auto: whichever it is

    def release_of(self, listed: Index, layout: Layout) -> str:
        """Whose split of the pictures it is.

        Raises:
            DecoctError: another one than was asked for.
        """
        release = FASTAI if strays(listed) else ILSVRC
        asked = {"auto": release, "fastai": FASTAI, "imagenet1k": ILSVRC}[self.release]
        if asked != release:
            raise DecoctError(
                f"{layout.root} is {release}'s split of {self.name}, not {asked}'s\n"
                'set release = "auto" to take it as it is, or give the other one\'s folder'
            )
        return release

    def called(self, release: str) -> str:
        """Such as "imagenette (fastai)"."""
        return f"{self.title} ({release})"


@functools.cache
def wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids of ImageNet-1K, ascending, from timm's files; timm is not imported."""
    return tuple(sorted((_info() / "imagenet_synsets.txt").read_text("utf-8").split()))


@functools.cache
def english() -> dict[str, str]:
    """English names by WordNet id, such as "tench, Tinca tinca"; "crane" is the name of two of ImageNet-1K's."""
    lines = (_info() / "imagenet_synset_to_lemma.txt").read_text("utf-8").splitlines()
    return {wnid: name for wnid, _, name in (line.partition("\t") for line in lines)}


def strays(listed: Index) -> list[str]:
    """Names in val that come from ImageNet-1K's train: fastai redivided the pictures of both."""
    names = listed.name[listed.split == 1]
    return sorted(name for name in names.tolist() if name[:1] == "n" and name[1:9].isdigit() and name[9:10] == "_")


def _opened(source: ImageNet, listed: Path) -> tuple[Layout, Index]:
    pictures = index.load(listed)
    if pictures is None:
        raise DecoctError(f"no readable list of pictures in {listed}\ndelete its folder and load the data again")
    return source.layout(), pictures


def _pair(layout: Layout, pictures: Index) -> tuple[Layout, Index]:
    return layout, pictures


def _info() -> Path:
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise DecoctError("the names of ImageNet's classes come with timm, which is not installed: pip install timm")
    return Path(spec.origin).parent / "data" / "_info"


def _below(file: Path, root: Path) -> str:
    return Path(os.path.relpath(file, root)).as_posix() if file != root else file.name
